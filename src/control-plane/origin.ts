import type { Authority } from '../ca/authority.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Watchable } from '../runtime/watchable.ts';
import type { ConsulTarget } from '../sources/consul/consul-target.ts';
import type { Admission } from './admission.ts';
import type { IdentityOptions } from './mesh-admission.ts';
import type { MeshSource } from './mesh-source.ts';
import type { TokenStore } from './token-store.ts';
import type { VirtualIps } from './virtual-ips.ts';

/** Where a mesh comes from, who signs for it, which addresses stand for its services, and who is served. Closed in reverse order. */
export interface Origin {
  readonly source: MeshSource;
  readonly authority: Authority;
  readonly virtualIps: VirtualIps;
  readonly admission: Admission;
  /** Absent where somebody else gives tokens out. */
  readonly tokens?: TokenStore;
  /** PEM of the CAs whose client certificates are looked at. Absent: none are asked for. */
  readonly clientCa?: Watchable<string>;
}

/** Mesh files and folders of them, or a live Consul, whose ACLs say who is who. */
export type OriginChoice = FileOriginChoice | { readonly consul: ConsulTarget };

export interface FileOriginChoice {
  readonly meshPaths: readonly string[];
  readonly identity: IdentityOptions;
}

/** What every origin needs. */
export interface OriginContext {
  readonly dataDir: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1; spreads retries. */
  readonly random: () => number;
  readonly logger: Logger;
}
