import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Every metric adsum exports, in one place: names and labels are a contract with dashboards (docs/operations.md). */
export function createMetrics(registry = new Registry()) {
  const registers = [registry];
  return {
    registry,
    meshLoads: new Counter({ name: 'adsum_mesh_loads_total', help: 'Meshes read from the source, by result', labelNames: ['result'] as const, registers }),
    meshStale: new Gauge({ name: 'adsum_mesh_stale', help: '1 while the last good mesh is served because the newest cannot be used', registers }),
    problems: new Gauge({ name: 'adsum_problems', help: 'Defects known at the moment, by severity', labelNames: ['severity'] as const, registers }),
    proxies: new Gauge({ name: 'adsum_proxies', help: 'Proxies, by state', labelNames: ['state'] as const, registers }),
    rebuildSeconds: new Histogram({
      name: 'adsum_rebuild_seconds',
      help: 'Time from a change to the last configuration that was worked out because of it',
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    }),
    changeSeconds: new Histogram({
      name: 'adsum_change_seconds',
      help: 'Time from a change to the last answer of a proxy that it touched, by what was changed',
      labelNames: ['kind'] as const,
      buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
      registers,
    }),
    changeProxies: new Counter({ name: 'adsum_change_proxies_total', help: 'Proxies that changes touched', labelNames: ['kind'] as const, registers }),
    changeBytes: new Counter({ name: 'adsum_change_bytes_total', help: 'Bytes sent because of changes', labelNames: ['kind'] as const, registers }),
    queueDepth: new Gauge({
      name: 'adsum_queue_depth',
      help: 'What waits for its turn: proxies to be worked out, streams to be answered',
      labelNames: ['queue'] as const,
      registers,
    }),
    valuesComputed: new Counter({ name: 'adsum_values_computed_total', help: 'Derived values of the mesh that were worked out', registers }),
    valuesUnchanged: new Counter({
      name: 'adsum_values_unchanged_total',
      help: 'Of these, values that came out as they were, so that nothing further was worked out',
      registers,
    }),
    valuesKept: new Gauge({ name: 'adsum_values_kept', help: 'Derived values that are remembered and reused', registers }),
    snapshotsBuilt: new Counter({ name: 'adsum_snapshots_built_total', help: 'Proxy snapshots computed', registers }),
    snapshotsChanged: new Counter({ name: 'adsum_snapshots_changed_total', help: 'Proxy snapshots that differed and were handed to streams', registers }),
    refusedResources: new Gauge({
      name: 'adsum_refused_resources',
      help: 'Resources that a connected Envoy does not take, by type; closed: nobody may call the service meanwhile',
      labelNames: ['type', 'closed'] as const,
      registers,
    }),
    nacks: new Counter({ name: 'adsum_xds_nacks_total', help: 'Responses an Envoy rejected, by resource type', labelNames: ['type'] as const, registers }),
    xdsConnections: new Gauge({ name: 'adsum_xds_connections', help: 'Open connections of the xDS port', registers }),
    xdsStreams: new Gauge({ name: 'adsum_xds_streams', help: 'Open xDS streams', registers }),
    xdsNames: new Gauge({ name: 'adsum_xds_subscribed_names', help: 'Resource names kept because clients said them', registers }),
    xdsInboundBytes: new Gauge({ name: 'adsum_xds_inbound_bytes', help: 'Bytes of requests that have arrived and are not worked off', registers }),
    xdsOpened: new Counter({ name: 'adsum_xds_streams_opened_total', help: 'xDS streams opened', registers }),
    xdsRequests: new Counter({ name: 'adsum_xds_requests_total', help: 'Requests worked off', registers }),
    xdsRequestBytes: new Counter({ name: 'adsum_xds_request_bytes_total', help: 'Bytes of these', registers }),
    xdsResponses: new Counter({ name: 'adsum_xds_responses_total', help: 'Responses sent', registers }),
    xdsResponseBytes: new Counter({ name: 'adsum_xds_response_bytes_total', help: 'Bytes of these', registers }),
    xdsSlowed: new Counter({ name: 'adsum_xds_slowed_total', help: 'Requests after which a client was read from more slowly', registers }),
    xdsRefused: new Counter({
      name: 'adsum_xds_refused_total',
      help: 'Streams and connections ended because of what their client did, by reason',
      labelNames: ['reason'] as const,
      registers,
    }),
    dnsQueries: new Counter({ name: 'adsum_dns_queries_total', help: 'DNS messages received', labelNames: ['transport'] as const, registers }),
    dnsLimited: new Counter({
      name: 'adsum_dns_limited_total',
      help: 'DNS clients that got less than they asked for, by reason',
      labelNames: ['reason'] as const,
      registers,
    }),
    leafExpiry: new Gauge({ name: 'adsum_leaf_earliest_expiry_seconds', help: 'Unix time at which the first leaf in use expires', registers }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
