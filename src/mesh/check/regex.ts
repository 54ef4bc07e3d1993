import { RE2JS } from 're2js';

/**
 * Why Envoy would refuse a regular expression, or `undefined`. Envoy uses RE2, and refuses the whole listener or route table with one that RE2 does
 * not take; its older, perhaps wider form stays in force then. re2js parses as RE2 does, and is stricter in a few odd cases (`\C`, two groups
 * of one name).
 */
export function regexFault(pattern: string): string | undefined {
  if (pattern.length > MAX_LENGTH) return `it is longer than ${MAX_LENGTH} characters`;
  // A character above U+FFFF is two halves here; half of one is no text.
  if (/\p{Surrogate}/u.test(pattern)) return 'it is no valid Unicode text';
  if (/\\x\{0*[1-9a-f][0-9a-f]{2,}\}/i.test(pattern)) return 'characters above \\xff have no number in every Envoy; write the character itself';
  try {
    const size = RE2JS.compile(pattern).programSize() * weightOf(pattern);
    return size > MAX_PROGRAM ? 'it is too large: RE2 would refuse to compile it' : undefined;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : 'it cannot be compiled';
  }
}

/** Far more than anybody writes; it bounds the time that compiling takes. */
const MAX_LENGTH = 20_000;

/** RE2 stops at 87,381 instructions (8 MiB of memory, two thirds for the program, a quarter of that for instructions of 16 bytes). */
const MAX_PROGRAM = 80_000;

/**
 * How many instructions on bytes RE2 makes of one of re2js, which work on characters: a class of many ranges is spelled out in UTF-8. Estimated from
 * above: a Unicode class takes 250, any character about ten.
 */
function weightOf(pattern: string): number {
  if (/\\[pP]/.test(pattern)) return 250;
  return /[^\x20-\x7e]|\.|\[|\\[xDWSQ]|\(\?[a-z]*i/.test(pattern) ? 12 : 1;
}

/** Where regular expressions stand in what users write for Envoy, or for an extension: the place inside `value`, and the fault. */
export function regexFaultsIn(value: unknown, path: readonly (string | number)[] = []): { path: readonly (string | number)[]; fault: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const at = [...path, Array.isArray(value) ? Number(key) : key];
    if (typeof item !== 'string') return regexFaultsIn(item, at);
    const fault = REGEX_FIELD.test(key) ? regexFault(item) : undefined;
    return fault ? [{ path: at, fault: `${JSON.stringify(item.slice(0, 100))} is no regular expression of RE2: ${fault}` }] : [];
  });
}

/** Envoy's messages call it `regex`, extensions `SafeRegex`; in their spellings. */
const REGEX_FIELD = /^(regex|safe_?regex)$/i;
