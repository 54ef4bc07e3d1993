/** The zone adsum answers for, and how. */
export interface Zone {
  /** Without dots at its ends; default `consul`. */
  readonly domain: string;
  readonly datacenter: string;
  /** TTL of virtual IPs in seconds; default 5: a virtual IP never moves, but a service may be new to the mesh. */
  readonly virtualTtlS: number;
  /** TTL of instances and negative answers in seconds; default 0 as Consul's, so that a dead instance is not asked again. */
  readonly serviceTtlS: number;
  /** The SOA serial: anything that grows with time. */
  readonly serial: number;
  /** Addresses of `ns.consul`, this server itself; none when it listens on all. */
  readonly nameServerAddresses?: readonly string[];
  /** Shuffles instances, so that clients that take the first one spread; without it the order stays. 0 ≤ x < 1. */
  readonly random?: () => number;
}

export const DEFAULT_ZONE = { domain: 'consul', virtualTtlS: 5, serviceTtlS: 0 } as const;
