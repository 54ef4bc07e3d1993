import path from 'node:path';
import { type AdminServer, startAdminServer } from '../admin/admin-server.ts';
import { adminSocketOf } from '../admin/admin-socket.ts';
import { LeafArchive } from '../ca/leaf-archive.ts';
import { LeafStore } from '../ca/leaf-store.ts';
import { ResourceCache } from '../cache/resource-cache.ts';
import { type DnsServer, startDnsServer } from '../dns/dns-server.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Watchable } from '../runtime/watchable.ts';
import type { ServerCertificate } from '../server/tls-credentials.ts';
import { startXdsServer, type XdsServer } from '../server/xds-server.ts';
import { createAdminApi } from './admin-view.ts';
import { openDataDir } from './data-dir.ts';
import { followClock } from './follow-clock.ts';
import { createIdentities } from './identities.ts';
import { MeshLoader } from './mesh-loader.ts';
import { createNameTable } from './name-table.ts';
import { observeGauges } from './observe-gauges.ts';
import { openOrigin } from './open-origin.ts';
import type { OriginChoice } from './origin.ts';
import { OwnCertificate } from './own-certificate.ts';
import { createProxyDirectory } from './proxy-directory.ts';
import { Reconciler } from './reconciler.ts';
import { reportDeliveredRoots } from './roots-delivery.ts';
import { StandingProblems } from './standing-problems.ts';
import { VersionGuard } from './version-guard.ts';

/** DNS names the datacenter it answers for; Consul may not have said yet. */
const DEFAULT_DATACENTER = 'dc1';

export interface HostPort {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export type ControlPlaneOptions = OriginChoice & CommonOptions;

interface CommonOptions {
  readonly dataDir: string;
  readonly grpc: HostPort;
  /** The certificate of the xDS port, or the names for which the mesh's CA makes one; without it xDS is plain text. */
  readonly certificate?: Watchable<ServerCertificate> | { readonly names: readonly string[] };
  readonly admin: HostPort;
  /** The admin port speaks HTTPS, with the same certificate. */
  readonly adminTls?: boolean;
  readonly dns?: HostPort & { readonly recursors: readonly string[]; readonly clients?: readonly string[] };
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
  /**
   * An orderly end: `/readyz` says no, for `delayMs` everything goes on, then the streams are ended some at a time, and DNS and the admin
   * port are closed last.
   */
  end(delayMs?: number): Promise<void>;
  /** The end, at once. */
  close(): Promise<void>;
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
  let ending = false;
  let cutShort = () => {};
  try {
    const standing = new StandingProblems(logger);
    const dataDir = await openDataDir(options.dataDir, { clock, problems: standing });
    closers.push(() => dataDir.close());

    const { source, authority, virtualIps, admission, tokens, clientCa } = await openOrigin(options, options);
    closers.push(
      () => authority.close(),
      () => admission.close(),
      () => source.close(),
    );
    const archive = new LeafArchive(path.join(options.dataDir, 'leaves'), logger);
    const leaves = new LeafStore({ ca: authority, clock, logger, random: options.random, archive });
    closers.push(() => leaves.close());
    closers.push(followClock({ clock, authority, leaves, problems: standing }));

    const identities = createIdentities({ ca: authority, leaves, logger, changed: (service) => reconciler.secretsChanged(service) });
    const reconciler: Reconciler = new Reconciler({ cache: new ResourceCache(), identities, clock, logger, metrics });

    const loader = new MeshLoader({
      virtualIps,
      realm: () => authority.realm,
      now: () => clock.now(),
      logger,
      metrics,
      serve: (topology, changed) => {
        admission.before(topology);
        reconciler.setTopology(topology, changed);
        admission.after();
      },
    });
    source.load(loader);

    let certificate: Watchable<ServerCertificate> | undefined;
    if (options.certificate && 'names' in options.certificate) {
      const own = await OwnCertificate.open({ names: options.certificate.names, authority, clock, logger });
      closers.push(() => own.close());
      certificate = own;
    } else certificate = options.certificate;

    const versions = new VersionGuard({ clock, logger });
    const xds: XdsServer = await startXdsServer({
      address: options.grpc,
      ...(certificate ? { tls: { certificate, ...(clientCa ? { clientCa } : {}) } } : {}),
      directory: versions.guard(admission.admit(createProxyDirectory(reconciler))),
      logger,
      clock,
      metrics,
    });
    closers.push(() => xds.close());
    closers.push(reportDeliveredRoots({ ca: authority, clock, idle: () => reconciler.idle, streams: () => xds.streams() }));
    const api = createAdminApi({ reconciler, loader, ca: authority, xds, admissions: [versions, admission], tokens, standing, ending: () => ending });
    const admin: AdminServer = await startAdminServer({
      ...options.admin,
      ...(dataDir.held ? { socket: adminSocketOf(options.dataDir) } : {}),
      ...(certificate && options.adminTls ? { certificate } : {}),
      api,
      metrics,
      observe: () => observeGauges(metrics, { api, leaves, xds, reconciler }),
      ...(admission.readAccess ? { readAccess: admission.readAccess } : {}),
    });
    closers.push(() => admin.close());
    const dns: DnsServer | undefined = options.dns
      ? await startDnsServer({
          ...options.dns,
          names: createNameTable(() => reconciler.topology),
          datacenter: authority.realm?.datacenter ?? DEFAULT_DATACENTER,
          clock,
          metrics,
          logger,
        })
      : undefined;
    if (dns) closers.push(() => dns.close());

    await source.watch(loader);
    return {
      grpc: { host: options.grpc.host, port: xds.port },
      admin: admin.address,
      dns: dns && options.dns ? { host: options.dns.host, port: dns.port } : undefined,
      async end(delayMs = 0) {
        // whoever balances load is told first, while everything still works; then the streams go, while DNS and the admin port are there
        ending = true;
        if (delayMs > 0) {
          await new Promise<void>((resolve) => {
            const cancel = clock.after(delayMs, resolve);
            cutShort = () => {
              cancel();
              resolve();
            };
          });
        }
        await xds.close();
        await close();
      },
      async close() {
        ending = true;
        cutShort();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
