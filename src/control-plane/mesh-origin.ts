import type { ReadAccess } from '../admin/read-access.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { LeafStore } from '../ca/leaf-store.ts';
import type { ProxyDirectory } from '../server/proxy-directory.ts';
import type { XdsServer } from '../server/xds-server.ts';
import type { Topology } from '../topology/topology.ts';
import type { Admission } from './admission.ts';
import type { MeshLoader } from './mesh-loader.ts';
import type { Reconciler } from './reconciler.ts';
import type { VirtualIpStore } from './virtual-ip-store.ts';

/** Who vouches for the services of a mesh: the built-in CA, or Consul's. */
export type Authority = Pick<CertificateAuthority, 'trustDomain' | 'roots' | 'status' | 'rotate' | 'issueLeaf' | 'onChange'>;

/** Where a mesh, its identities and its virtual IPs come from: mesh files, or a live Consul. */
export interface MeshOrigin {
  readonly authority: Authority;
  readonly leaves: LeafStore;
  readonly virtualIps: Pick<VirtualIpStore, 'assign'>;
  /** What a mesh must not change while this process runs; absent where the origin decides. */
  readonly fixed?: { readonly trustDomain: string; readonly datacenter: string };
  /** Undefined before a mesh was read. */
  datacenter(): string | undefined;
  /** Puts whatever decides who is served in front of those who serve. */
  guard?(directory: ProxyDirectory): ProxyDirectory;
  /** What that one says of streams it holds or turned away. */
  readonly admission?: Admission;
  /** Decides what other hosts may read. */
  readonly readAccess?: ReadAccess;
  /** Called just before a topology is served. */
  before?(topology: Topology): void;
  /** Hands over what is known at once. Called before any port is opened. @throws MeshError when there is nothing and never will be */
  first(loader: MeshLoader): void;
  /** Follows the changes. What it starts ends with `close`. */
  follow(parts: { readonly loader: MeshLoader; readonly reconciler: Reconciler; readonly xds: XdsServer }): Promise<void>;
  close(): unknown;
}
