import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type AdminServer, startAdminServer } from '../admin/admin-server.ts';
import { openCertificateAuthority } from '../ca/certificate-authority.ts';
import { LeafArchive } from '../ca/leaf-archive.ts';
import { LeafStore } from '../ca/leaf-store.ts';
import { ResourceCache } from '../cache/resource-cache.ts';
import { type DnsServer, startDnsServer } from '../dns/dns-server.ts';
import type { Problem } from '../mesh/problem.ts';
import type { Clock } from '../runtime/clock.ts';
import { acquireLock } from '../runtime/lock-file.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { StateError } from '../runtime/state-error.ts';
import { startXdsServer, type XdsServer } from '../server/xds-server.ts';
import { parseMeshFiles } from '../sources/parse-mesh-files.ts';
import { readMeshFiles } from '../sources/read-mesh-files.ts';
import { watchMeshFiles } from '../sources/watch-mesh-files.ts';
import { createAdminApi } from './admin-view.ts';
import { createIdentities } from './identities.ts';
import { LastGoodMesh } from './last-good-mesh.ts';
import { MeshLoader } from './mesh-loader.ts';
import { nameTableOf } from './name-table.ts';
import { createProxyDirectory } from './proxy-directory.ts';
import { Reconciler } from './reconciler.ts';
import { reportDeliveredRoots } from './roots-delivery.ts';
import { VirtualIpStore } from './virtual-ip-store.ts';

/** How long a new root waits for proxies that do not acknowledge it, before it signs all the same. */
const ROOT_PROPAGATION_MS = 60_000;

export interface HostPort {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface ControlPlaneOptions {
  /** Mesh files and folders of them. */
  readonly meshPaths: readonly string[];
  readonly dataDir: string;
  readonly grpc: HostPort;
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly admin: HostPort;
  readonly dns?: HostPort & { readonly recursors: readonly string[] };
  readonly clock: Clock;
  /** 0 ≤ x < 1; spreads renewals. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface ControlPlane {
  readonly grpc: HostPort;
  readonly admin: HostPort;
  readonly dns: HostPort | undefined;
  close(): Promise<void>;
}

/** The mesh cannot be used and there is no earlier one to stand in. */
export class MeshError extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super('the mesh cannot be served');
    this.name = 'MeshError';
    this.problems = problems;
  }
}

/**
 * Starts everything, or nothing: what was started is ended again when a later part fails.
 * @throws MeshError, StateError, CaError, LockHeldError, ListenError and the system's errors of listening
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { clock, logger, metrics } = options;
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    prepareDataDir(options.dataDir);
    closers.push(acquireLock(path.join(options.dataDir, 'lock')));

    const lastGood = new LastGoodMesh({ dataDir: options.dataDir, clock, logger });
    closers.push(() => lastGood.flush());
    const first = firstMesh(options.meshPaths, lastGood);

    const ca = await openCertificateAuthority({
      dir: options.dataDir,
      datacenter: first.mesh.datacenter,
      ...(first.mesh.trustDomain === undefined ? {} : { trustDomain: first.mesh.trustDomain }),
      clock,
      logger,
      timing: { propagationMs: ROOT_PROPAGATION_MS },
    });
    closers.push(() => ca.close());
    const archive = new LeafArchive(path.join(options.dataDir, 'leaves'), logger);
    const leaves = new LeafStore({ ca, clock, logger, random: options.random, archive });
    closers.push(() => leaves.close());

    const identities = createIdentities({ ca, leaves, logger, changed: (service) => reconciler.secretsChanged(service) });
    const reconciler: Reconciler = new Reconciler({ cache: new ResourceCache(), identities, logger, metrics });

    const loader = new MeshLoader({
      virtualIps: new VirtualIpStore({ dataDir: options.dataDir }),
      trustDomain: ca.trustDomain,
      datacenter: ca.datacenter,
      now: () => clock.now(),
      logger,
      metrics,
      serve: (topology) => reconciler.setTopology(topology),
    });
    if (!loader.load(first)) throw new MeshError(loader.problems);
    if (first.staleBecause) loader.markStale('the mesh files have errors; the copy from the last run is served', first.staleBecause);

    const xds: XdsServer = await startXdsServer({
      address: options.grpc,
      ...(options.tls ? { tls: options.tls } : {}),
      directory: createProxyDirectory(reconciler),
      logger,
      clock,
    });
    closers.push(() => xds.close());
    closers.push(reportDeliveredRoots({ ca, clock, idle: () => reconciler.idle, streams: () => xds.streams() }));
    const api = createAdminApi({ reconciler, loader, ca, xds });
    const admin: AdminServer = await startAdminServer({ ...options.admin, api, metrics });
    closers.push(() => admin.close());
    const dns: DnsServer | undefined = options.dns
      ? await startDnsServer({ ...options.dns, names: () => nameTableOf(reconciler.topology), datacenter: ca.datacenter, logger })
      : undefined;
    if (dns) closers.push(() => dns.close());

    const watching = new AbortController();
    closers.push(() => watching.abort());
    await watchMeshFiles({
      paths: options.meshPaths,
      known: first.files,
      signal: watching.signal,
      logger,
      onChange: (result) => {
        if (loader.load(result)) lastGood.save(result.files);
      },
    });
    return {
      grpc: { host: options.grpc.host, port: xds.port },
      admin: admin.address,
      dns: dns && options.dns ? { host: options.dns.host, port: dns.port } : undefined,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function prepareDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
  } catch (error) {
    throw new StateError(dir, `cannot be used as the data dir: ${error instanceof Error ? error.message : String(error)}`, 'name another with --data-dir');
  }
}

/** The mesh as the files have it, or else the copy of the last run. */
function firstMesh(paths: readonly string[], lastGood: LastGoodMesh) {
  const read = readMeshFiles(paths);
  if (read.mesh) {
    lastGood.save(read.files);
    return { ...read, mesh: read.mesh, staleBecause: undefined };
  }
  const copy = lastGood.load();
  const old = copy && parseMeshFiles(copy);
  if (!copy || !old?.mesh) throw new MeshError(read.problems);
  return { files: copy, mesh: old.mesh, problems: old.problems, staleBecause: read.problems };
}
