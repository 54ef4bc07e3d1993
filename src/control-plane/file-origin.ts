import { openCertificateAuthority } from '../ca/certificate-authority.ts';
import { admitEverybody } from './admission.ts';
import { openFileMeshSource } from './file-mesh-source.ts';
import type { Origin, OriginContext } from './origin.ts';
import { VirtualIpStore } from './virtual-ip-store.ts';

/** How long a new root waits for proxies that do not acknowledge it, before it signs all the same. */
const ROOT_PROPAGATION_MS = 60_000;

/** A mesh out of files, with adsum's own CA and virtual IPs. @throws MeshError, StateError, CaError */
export async function openFileOrigin(meshPaths: readonly string[], { dataDir, clock, logger }: OriginContext): Promise<Origin> {
  const source = openFileMeshSource({ meshPaths, dataDir, clock, logger });
  const { datacenter, trustDomain } = source.initial;
  const authority = await openCertificateAuthority({ dir: dataDir, datacenter, trustDomain, clock, logger, timing: { propagationMs: ROOT_PROPAGATION_MS } });
  return { source, authority, virtualIps: new VirtualIpStore({ dataDir }), admission: admitEverybody };
}
