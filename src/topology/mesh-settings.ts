import type { EntryLookup } from '../mesh/mesh.ts';
import type { MeshEntry } from '../mesh/schema/mesh-entry.ts';
import { query } from '../query/query-store.ts';
import type { Topology } from './topology.ts';

export type TlsSettings = NonNullable<NonNullable<MeshEntry['tls']>['incoming']>;
export type RequestNormalization = NonNullable<NonNullable<NonNullable<MeshEntry['http']>['incoming']>['request_normalization']>;

/** What the `mesh` entry says, with its defaults. */
export interface MeshSettings {
  /** Transparent proxies refuse addresses that are not in the mesh. */
  readonly destinationsOnly: boolean;
  readonly allowPermissiveMutualTls: boolean;
  readonly incomingTls: TlsSettings | undefined;
  readonly outgoingTls: TlsSettings | undefined;
  /** Remove x-forwarded-client-cert instead of filling it in. */
  readonly sanitizeForwardedClientCert: boolean;
  readonly requestNormalization: RequestNormalization | undefined;
  readonly validateClusters: boolean;
}

export const meshSettings = query('mesh settings', ({ entries }: Topology) => resolveMeshSettings(entries));

export function resolveMeshSettings(entries: EntryLookup): MeshSettings {
  const entry = entries.get('mesh', 'mesh');
  return {
    destinationsOnly: entry?.transparent_proxy?.mesh_destinations_only ?? false,
    allowPermissiveMutualTls: entry?.allow_enabling_permissive_mutual_tls ?? false,
    incomingTls: entry?.tls?.incoming,
    outgoingTls: entry?.tls?.outgoing,
    sanitizeForwardedClientCert: entry?.http?.sanitize_x_forwarded_client_cert ?? false,
    requestNormalization: entry?.http?.incoming?.request_normalization,
    validateClusters: entry?.validate_clusters ?? false,
  };
}
