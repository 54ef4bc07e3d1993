/** How much of a text from outside is logged, kept or returned. */
const MOST_CHARS = 1024;
/** A stack is ours; the message at its start may not be. */
const MOST_STACK_CHARS = 8 * 1024;
const MOST_ITEMS = 100;
const MOST_DEPTH = 6;

/** The start of a text that somebody else wrote. A copy: a part of a string would keep the whole of it in memory. */
export function shortened(text: string, mostChars = MOST_CHARS): string {
  if (text.length <= mostChars) return text;
  return `${Buffer.from(text.slice(0, mostChars)).toString()}… (${text.length} characters)`;
}

/**
 * A text as it may go to a terminal: control characters (of C0, C1 and the bidirectional ones), which move the cursor, change colours or
 * turn the reading order around, are written as `\u009b`, inside JSON too. Line ends and tabs stay.
 */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, escaped);
}

/** As `printable`, on one line: nobody can make it look like two. */
export function printableLine(text: string): string {
  return printable(text).replaceAll('\n', String.raw`\n`).replaceAll('\t', String.raw`\t`);
}

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
}

/** Fields of a log line: every text in them short and printable, however deep. */
export function safeFields(fields: object): object {
  return safe(fields, 0, '') as object;
}

function safe(value: unknown, depth: number, key: string): unknown {
  if (typeof value === 'string') return key === 'error' ? printable(shortened(value, MOST_STACK_CHARS)) : printable(shortened(value));
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  if (depth === MOST_DEPTH) return '…';
  if (Array.isArray(value)) {
    const items = value.slice(0, MOST_ITEMS).map((item) => safe(item, depth + 1, key));
    return value.length > MOST_ITEMS ? [...items, `… (${value.length} in all)`] : items;
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [printableLine(shortened(name)), safe(inner, depth + 1, name)]));
}
