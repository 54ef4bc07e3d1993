import type { Any, Messages } from './generated/types.ts';

/** A message in an Any, typed by its full name. */
export function typed<Name extends keyof Messages>(name: Name, message: Messages[Name]): Any {
  return { '@type': `type.googleapis.com/${name}`, ...(message as Record<string, unknown>) };
}
