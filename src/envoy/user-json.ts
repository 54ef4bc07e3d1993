import { regexFaultsIn } from '../mesh/check/regex.ts';
import type { Problem } from '../mesh/problem.ts';
import { encodeUnknown, ProtoJsonError } from '../proto/codec.ts';

/**
 * Envoy configuration that a user wrote as JSON text (Consul's escape hatches), as a message of the expected type. Field names
 * come in either of protobuf's spellings; they are returned as the proto writes them.
 */
export function parseUserJson<Message extends object>(text: unknown, type: string, where: string): { message: Message } | { problem: Problem } {
  const refuse = (reason: string): { problem: Problem } => ({
    problem: { code: 'escape-hatch-invalid', severity: 'error', message: `${where} is not used: ${reason}`, hint: `it must be the JSON of ${type}` },
  });
  if (typeof text !== 'string') return refuse('it is not text');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return refuse('it is not a JSON object');
  if (isNestedBeyond(parsed, MAX_NESTING)) return refuse(`it is nested more than ${MAX_NESTING} levels deep`);
  const [pattern] = regexFaultsIn(parsed);
  if (pattern) return refuse(`${pattern.path.join('.')}: ${pattern.fault}`);
  const { '@type': url, ...message } = snakeCaseKeys(parsed) as Record<string, unknown>;
  if (url !== undefined && (typeof url !== 'string' || !url.endsWith(`/${type}`))) return refuse(`its @type is ${String(url)}`);
  try {
    encodeUnknown(type, message);
  } catch (error) {
    if (error instanceof ProtoJsonError) return refuse(error.message);
    throw error;
  }
  return { message: message as Message };
}

/** The limit of protobuf's own parsers, Envoy's among them. */
export const MAX_NESTING = 100;

/** Looks level by level: what is nested too deeply to be walked through must be found without walking. */
export function isNestedBeyond(value: unknown, levels: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > levels) return true;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  return false;
}

/** Maps whose keys are the user's, not field names. */
const FREE_MAPS = new Set(['typed_extension_protocol_options', 'typed_per_filter_config', 'filter_metadata', 'typed_filter_metadata', 'json_format', 'fields']);

function snakeCaseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCaseKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const name = snakeCase(key);
      return [name, FREE_MAPS.has(name) && typeof item === 'object' && item !== null ? mapValues(item) : snakeCaseKeys(item)];
    }),
  );
}

function mapValues(map: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([key, item]) => [key, snakeCaseKeys(item)]));
}

function snakeCase(key: string): string {
  return key.startsWith('@') ? key : key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
