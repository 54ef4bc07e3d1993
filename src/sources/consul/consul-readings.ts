import { z } from 'zod';
import type { RawCheck, RawNode } from './catalog.ts';

/** A root certificate of Consul's CA. */
export interface ConsulRoot {
  readonly id: string;
  readonly active: boolean;
  /** PEM. */
  readonly certificate: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  readonly notBefore: number;
}

export interface ConsulRoots {
  readonly trustDomain: string;
  readonly roots: readonly ConsulRoot[];
}

/** What an agent says of its cluster. */
export interface ConsulCluster {
  readonly datacenter: string;
  readonly defaultIntentionPolicy: 'allow' | 'deny';
  readonly aclsEnabled: boolean;
  readonly version: string;
}

/**
 * Everything that was read from Consul, as it came: enough to make the same mesh again without Consul. This is what lies in the
 * data dir between runs.
 */
export interface ConsulReadings {
  readonly cluster: ConsulCluster;
  readonly roots: ConsulRoots;
  readonly nodes: readonly RawNode[];
  /** Checks that are not passing; newer than those beside the nodes. */
  readonly failing: readonly RawCheck[];
  readonly entries: readonly unknown[];
  /** Service → addresses, as in the discovery chains. */
  readonly virtualIps: Readonly<Record<string, { readonly automatic: readonly string[]; readonly manual: readonly string[] }>>;
}

const policy = z.enum(['allow', 'deny']);

const self = z.object({
  Config: z.object({ Datacenter: z.string(), Version: z.string() }),
  DebugConfig: z.object({
    DefaultIntentionPolicy: z.string().nullish(),
    ACLsEnabled: z.boolean().nullish(),
    ACLResolverSettings: z.object({ ACLDefaultPolicy: z.string().nullish() }).nullish(),
  }),
});

/** `/v1/agent/self`. Without a policy of its own for intentions Consul takes that of ACLs; without ACLs everything is allowed. */
export function parseCluster(input: unknown, datacenter?: string): ConsulCluster | undefined {
  const parsed = self.safeParse(input);
  if (!parsed.success) return undefined;
  const { Config, DebugConfig } = parsed.data;
  const aclsEnabled = DebugConfig.ACLsEnabled ?? false;
  const byAcl = aclsEnabled ? DebugConfig.ACLResolverSettings?.ACLDefaultPolicy : 'allow';
  return {
    datacenter: datacenter ?? Config.Datacenter,
    // what cannot be understood denies
    defaultIntentionPolicy: policy.catch('deny').parse(DebugConfig.DefaultIntentionPolicy || byAcl),
    aclsEnabled,
    version: Config.Version,
  };
}

const caRoots = z.object({
  TrustDomain: z.string().min(1),
  Roots: z.array(z.object({ ID: z.string(), Active: z.boolean(), RootCert: z.string(), NotBefore: z.string(), NotAfter: z.string() })).min(1),
});

/** `/v1/connect/ca/roots`. */
export function parseRoots(input: unknown): ConsulRoots | undefined {
  const parsed = caRoots.safeParse(input);
  if (!parsed.success) return undefined;
  const roots = parsed.data.Roots.map(({ ID, Active, RootCert, NotBefore, NotAfter }) => ({
    id: ID,
    active: Active,
    certificate: RootCert,
    notBefore: Date.parse(NotBefore),
    notAfter: Date.parse(NotAfter),
  }));
  return { trustDomain: parsed.data.TrustDomain, roots };
}
