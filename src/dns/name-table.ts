import type { Health } from '../mesh/instance.ts';

/** An instance as DNS gives it out. */
export interface NamedInstance {
  /** IPv4, IPv6 or a host name. */
  readonly address: string;
  readonly port: number;
  readonly node: string;
  /** The SRV weight in its present health. */
  readonly weight: number;
  readonly health: Health;
  /** For `TAG.SERVICE.service.consul`. */
  readonly tags?: readonly string[];
}

/**
 * The names of a mesh at one moment. DNS has no upper and lower case, so `service` is always lower case here: an
 * implementation keys its services by their lower-case names. `undefined` means that there is no such service.
 */
export interface NameTable {
  /** All virtual IPs of a service, IPv4 and IPv6. */
  virtualAddresses(service: string): readonly string[] | undefined;
  /** The service's own instances, whatever their health. */
  instances(service: string): readonly NamedInstance[] | undefined;
  /** What accepts mesh connections for the service: its sidecars, or its Connect-native instances. */
  proxies(service: string): readonly NamedInstance[] | undefined;
}
