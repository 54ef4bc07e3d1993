import { encode } from '../../proto/codec.ts';
import type { Messages } from '../../proto/generated/types.ts';

/** Whether two values mean the same message, however their fields are ordered and spelled. */
export function sameMessage<Name extends keyof Messages>(type: Name, one: Messages[Name] | undefined, other: Messages[Name] | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(encode(type, one), encode(type, other)) === 0;
}
