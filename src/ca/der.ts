/** The parts of DER (X.690) that a certificate is made of: each function gives one encoded value. */

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return encoded(0x30, ...parts);
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return encoded(0x31, ...parts);
}

/** A value with an explicit context tag, `[number]`, around others. */
export function tagged(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return encoded(0xa0 | number, ...parts);
}

/** A value with an implicit context tag, `[number]`, in place of that of its primitive type. */
export function retagged(number: number, content: Uint8Array): Buffer {
  return encoded(0x80 | number, content);
}

/** A positive integer; the first bit of its bytes must be 0 and its first byte not. */
export function positiveInteger(bytes: Uint8Array): Buffer {
  return encoded(0x02, bytes);
}

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  return encoded(0x06, Buffer.from([first * 40 + second, ...others.flatMap(base128)]));
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return encoded(0x03, Buffer.from([unusedBits]), bytes);
}

export function octetString(...parts: readonly Uint8Array[]): Buffer {
  return encoded(0x04, ...parts);
}

export function utf8String(text: string): Buffer {
  return encoded(0x0c, Buffer.from(text, 'utf8'));
}

export const TRUE = encoded(0x01, Buffer.from([0xff]));

/** UTCTime until 2049, GeneralizedTime from 2050. Source: RFC 5280, 4.1.2.5. */
export function time(ms: number): Buffer {
  const digits = `${new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replace(/[^\d]/g, '')}Z`;
  return Number(digits.slice(0, 4)) < 2050 ? encoded(0x17, Buffer.from(digits.slice(2))) : encoded(0x18, Buffer.from(digits));
}

/** The encoded values inside an encoded value that is made of others. */
export function partsOf(value: Buffer): Buffer[] {
  const { end, content } = extentOf(value, 0);
  const parts: Buffer[] = [];
  for (let at = content; at < end; ) {
    const part = extentOf(value, at);
    parts.push(value.subarray(at, part.end));
    at = part.end;
  }
  return parts;
}

/** The bytes inside an encoded value. */
export function contentOf(value: Buffer): Buffer {
  const { end, content } = extentOf(value, 0);
  return value.subarray(content, end);
}

function encoded(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(length)]), ...parts]);
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** @returns offsets of the content and behind it. Throws on what is no complete DER value. */
function extentOf(bytes: Buffer, at: number): { content: number; end: number } {
  const first = bytes[at + 1] ?? Number.NaN;
  const more = first & 0x80 ? first & 0x7f : 0;
  const content = at + 2 + more;
  const end = content + (more > 0 ? bytes.readUIntBE(at + 2, more) : first);
  if (!(end <= bytes.length)) throw new RangeError('not a complete DER value');
  return { content, end };
}
