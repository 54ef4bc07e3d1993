import { decodeNode } from '../proto/services.ts';
import type { ConnectedNode } from './proxy-directory.ts';

/** Older ones lack fields that adsum's configuration uses, and the cache that keeps endpoints over a cluster's change. */
const OLDEST_ENVOY = { major: 1, minor: 33 };

/** Why a stream is turned away: INVALID_ARGUMENT with this text. */
export interface NodeRefusal {
  readonly refusal: string;
}

/** Reads who is calling from the first message of a stream. */
export function readConnectedNode(bytes: Uint8Array | undefined, peer: string, token: string | undefined): ConnectedNode | NodeRefusal {
  if (!bytes) return { refusal: 'the first request of a stream must carry the node' };
  let node: ReturnType<typeof decodeNode>;
  try {
    node = decodeNode(bytes);
  } catch (error) {
    return { refusal: `the node cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
  const { id, cluster, metadata, userAgent, version } = node;
  if (id === '') return { refusal: 'the node has no id; it must be the ID of the proxy service' };
  const isEnvoy = userAgent === '' || userAgent === 'envoy';
  if (isEnvoy && version && (version[0] < OLDEST_ENVOY.major || (version[0] === OLDEST_ENVOY.major && version[1] < OLDEST_ENVOY.minor))) {
    return { refusal: `Envoy ${version.join('.')} is too old for adsum: ${OLDEST_ENVOY.major}.${OLDEST_ENVOY.minor} or later is needed` };
  }
  const nodeName = metadata.node_name;
  return {
    id,
    cluster,
    metadata,
    peer,
    ...(typeof nodeName === 'string' && nodeName !== '' && { nodeName }),
    ...(version && { envoyVersion: version }),
    ...(token && { token }),
  };
}
