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
      help: 'Time from a new mesh to the last changed snapshot handed over',
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    }),
    snapshotsBuilt: new Counter({ name: 'adsum_snapshots_built_total', help: 'Proxy snapshots computed', registers }),
    snapshotsChanged: new Counter({ name: 'adsum_snapshots_changed_total', help: 'Proxy snapshots that differed and were handed to streams', registers }),
    nacks: new Counter({ name: 'adsum_xds_nacks_total', help: 'Responses an Envoy rejected, by resource type', labelNames: ['type'] as const, registers }),
    leafExpiry: new Gauge({ name: 'adsum_leaf_earliest_expiry_seconds', help: 'Unix time at which the first leaf in use expires', registers }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
