import { decodeNode } from '../proto/services.ts';
import type { ConnectedNode } from './proxy-directory.ts';

/** Why a stream is turned away: INVALID_ARGUMENT with this text. */
export interface NodeRefusal {
  readonly refusal: string;
}

/** Reads who is calling from the first message of a stream; of the node only what is needed later is kept. */
export function readConnectedNode(
  bytes: Uint8Array | undefined,
  peer: string,
  proof: Pick<ConnectedNode, 'token' | 'certificate'>,
): ConnectedNode | NodeRefusal {
  if (!bytes) return { refusal: 'the first request of a stream must carry the node' };
  let node: ReturnType<typeof decodeNode>;
  try {
    node = decodeNode(bytes);
  } catch (error) {
    return { refusal: `the node cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
  const { id, nodeName, ipv6, userAgent, version } = node;
  if (id === '') return { refusal: 'the node has no id; it must be the ID of the proxy service' };
  const isEnvoy = userAgent === '' || userAgent === 'envoy';
  return {
    id,
    ipv6,
    peer,
    ...(nodeName !== '' && { nodeName }),
    ...(isEnvoy && version && { envoyVersion: version }),
    ...(proof.token && { token: proof.token }),
    ...(proof.certificate && { certificate: proof.certificate }),
  };
}
