/** An HTTP request as the proxies on its way see it. Names of headers are in lower case. */
export interface HttpRequest {
  readonly method: string;
  readonly host: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function withoutQuery(path: string): string {
  return path.replace(/[?#].*$/, '');
}

export function queryOf(path: string): URLSearchParams {
  return new URLSearchParams(path.split('#')[0]?.split('?').slice(1).join('?') ?? '');
}

/** RE2 as far as we use it, in JavaScript; a match of the whole text. */
export function fullRegex(regex: string): RegExp {
  const [, flags = '', pattern = ''] = /^(?:\(\?([a-z]+)\))?(.*)$/s.exec(regex) ?? [];
  return new RegExp(`^(?:${pattern})$`, flags);
}
