import { openConsulOrigin } from './consul-origin.ts';
import { openFileOrigin } from './file-origin.ts';
import type { Origin, OriginChoice, OriginContext } from './origin.ts';

/** @throws MeshError, StateError, CaError */
export function openOrigin(choice: OriginChoice, context: OriginContext): Promise<Origin> {
  return 'consul' in choice ? openConsulOrigin(choice.consul, context) : openFileOrigin(choice, context);
}
