import { createHash } from 'node:crypto';

/** The content is not what was written: a flipped bit, a slip of an editor. */
export class BrokenSealError extends Error {
  constructor() {
    super('its content does not fit its checksum');
    this.name = 'BrokenSealError';
  }
}

/** An object as JSON with a checksum of it, so that damage which is still JSON is noticed. */
export function sealJson(value: object, indent?: number): string {
  return `${JSON.stringify({ ...value, checksum: checksumOf(value) }, undefined, indent)}\n`;
}

/** What `sealJson` wrote. Without a checksum it is taken as it is: an operator may take it out to change something by hand. */
export function openSealedJson(text: string): unknown {
  const parsed = JSON.parse(text) as unknown;
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || !('checksum' in parsed)) return parsed;
  const { checksum, ...value } = parsed;
  if (checksum !== checksumOf(value)) throw new BrokenSealError();
  return value;
}

function checksumOf(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
