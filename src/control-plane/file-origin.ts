import { openCertificateAuthority } from '../ca/certificate-authority.ts';
import { openFileMeshSource } from './file-mesh-source.ts';
import { createMeshAdmission, rootsOf } from './mesh-admission.ts';
import type { FileOriginChoice, Origin, OriginContext } from './origin.ts';
import { TokenStore } from './token-store.ts';
import { VirtualIpStore } from './virtual-ip-store.ts';

/** How long a new root waits for proxies that do not acknowledge it, before it signs all the same. */
const ROOT_PROPAGATION_MS = 60_000;

/** A mesh out of files, with adsum's own CA, virtual IPs and tokens. @throws MeshError, StateError, CaError */
export async function openFileOrigin({ meshPaths, identity }: FileOriginChoice, { dataDir, clock, logger }: OriginContext): Promise<Origin> {
  const source = openFileMeshSource({ meshPaths, dataDir, clock, logger });
  const { datacenter, trustDomain } = source.initial;
  const authority = await openCertificateAuthority({ dir: dataDir, datacenter, trustDomain, clock, logger, timing: { propagationMs: ROOT_PROPAGATION_MS } });
  const tokens = new TokenStore({ dataDir, clock });
  const admission = createMeshAdmission(identity, { authority, tokens, clock, logger });
  const clientCa = identity.required ? { clientCa: identity.clientCa ?? rootsOf(authority) } : {};
  return { source, authority, virtualIps: new VirtualIpStore({ dataDir }), admission, tokens, ...clientCa };
}
