/** JSON that does not fit its message. `path` leads to the place, e.g. `filters[0].typed_config.sni`; empty for the message itself. */
export class ProtoJsonError extends Error {
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(`${path || '(root)'}: ${reason}`);
    this.name = 'ProtoJsonError';
    this.path = path;
    this.reason = reason;
  }

  /** The same defect, seen from one level further out. */
  within(part: string | number): ProtoJsonError {
    const inner = this.path === '' || this.path.startsWith('[') ? this.path : `.${this.path}`;
    return new ProtoJsonError(typeof part === 'number' ? `[${part}]${inner}` : `${part}${inner}`, this.reason);
  }
}
