export type Family = 'ipv4' | 'ipv6';

export interface Address {
  readonly family: Family;
  /** In the shortest form, as iptables-save writes it. */
  readonly text: string;
}

/** What is redirected and what is left alone; checked, and free of duplicates. */
export interface RedirectConfig {
  /** The proxy's own connections go out unredirected. */
  readonly proxyUid: number;
  /** Where the proxy listens for connections from outside. */
  readonly inboundPort: number;
  /** Where it listens for connections of the host's applications. */
  readonly outboundPort: number;
  readonly excludeInboundPorts: readonly number[];
  readonly excludeOutboundPorts: readonly number[];
  /** Networks with their prefix length, host bits cleared. */
  readonly excludeOutboundCidrs: readonly Address[];
  readonly excludeUids: readonly number[];
  readonly dns?: DnsRedirect;
}

/**
 * As Consul has it. An address alone: every DNS query of the host goes to it, port unchanged. With a port: only queries to that
 * address go to that port of it; a port without an address means 127.0.0.1.
 */
export interface DnsRedirect {
  readonly server: Address;
  readonly port?: number;
}
