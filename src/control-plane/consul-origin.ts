import path from 'node:path';
import { LeafArchive } from '../ca/leaf-archive.ts';
import { LeafStore } from '../ca/leaf-store.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { createConsulClient } from '../sources/consul/consul-client.ts';
import { meshOfReadings } from '../sources/consul/consul-mesh-builder.ts';
import type { ConsulReadings } from '../sources/consul/consul-readings.ts';
import { startConsulSource } from '../sources/consul/consul-source.ts';
import type { ConsulTarget } from '../sources/consul/consul-target.ts';
import { ConsulAuthority } from './consul-authority.ts';
import { ConsulCopy } from './consul-copy.ts';
import { createConsulReadAccess } from './consul-read-access.ts';
import { authorize, createTokenCheck } from './consul-token-check.ts';
import type { MeshLoader } from './mesh-loader.ts';
import type { MeshOrigin } from './mesh-origin.ts';
import { TokenGuard } from './token-guard.ts';

export interface ConsulOriginOptions {
  readonly consul: ConsulTarget;
  readonly dataDir: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1; spreads renewals and retries. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** A mesh out of a live Consul, with Consul's CA and virtual IPs. */
export function openConsulOrigin({ consul, dataDir, clock, random, logger }: ConsulOriginOptions): MeshOrigin {
  const client = createConsulClient(consul);
  const copy = new ConsulCopy({ dataDir, clock, logger });
  const ending = new AbortController();
  let current: ConsulReadings | undefined;
  let awayBecause: string | undefined;
  let following: Promise<void> = Promise.resolve();

  const aclsEnabled = () => current?.cluster.aclsEnabled;
  const guard = new TokenGuard({ check: createTokenCheck(client), aclsEnabled, clock, logger });
  const authority = new ConsulAuthority({ client, clock, random, tokenFor: (service) => guard.tokenFor(service) });
  const leaves = new LeafStore({ ca: authority, clock, logger, random, archive: new LeafArchive(path.join(dataDir, 'leaves'), logger) });

  const serve = (loader: MeshLoader, mesh: Mesh, readings: ConsulReadings) => {
    current = readings;
    authority.update(readings.cluster.datacenter, readings.roots);
    loader.load({ mesh, problems: mesh.problems });
    // a part of Consul may still answer; what the rest says is old
    if (awayBecause !== undefined) loader.markStale(awayBecause, loader.problems);
    guard.after();
  };

  return {
    authority,
    leaves,
    // Consul allocates; a name it gave no address is not reachable by one
    virtualIps: { assign: (mesh) => ({ addresses: mesh.pinnedVirtualIps, problems: [] }) },
    datacenter: () => current?.cluster.datacenter,
    guard: (directory) => guard.guard(directory),
    admission: guard,
    readAccess: createConsulReadAccess({
      authorize: (token, permissions) => authorize(client, token, permissions),
      aclsEnabled,
      serviceOf: (proxy) => guard.serviceOf(proxy),
    }),
    before: (topology) => guard.before(topology),
    first: (loader) => loader.markStale(`Consul at ${client.address} has not been read yet`, []),
    async follow({ loader }) {
      following = startConsulSource({
        client,
        ...(consul.datacenter === undefined ? {} : { datacenter: consul.datacenter }),
        clock,
        random,
        logger,
        signal: ending.signal,
        onMesh: (mesh, readings) => {
          if (!current) logger.info({ consul: client.address, version: readings.cluster.version, instances: mesh.instances.length }, 'Consul has been read');
          serve(loader, mesh, readings);
          copy.save(readings);
        },
        onAway: (reason) => {
          logger.warn({ consul: client.address, reason }, 'Consul is away; what it said last is served');
          awayBecause = `Consul is away: ${reason}`;
          if (!current) {
            const old = copy.load();
            const mesh = old && meshOfReadings(old);
            if (old && mesh) serve(loader, mesh, old);
          }
          loader.markStale(awayBecause, loader.problems);
        },
        onBack: () => {
          logger.info({ consul: client.address }, 'Consul is back');
          awayBecause = undefined;
          loader.markFresh();
        },
      }).done;
      // A bug in the loop must not leave a process behind that looks alive and follows nothing.
      following.catch((error: unknown) => {
        queueMicrotask(() => {
          throw error;
        });
      });
    },
    async close() {
      ending.abort();
      guard.close();
      await following.catch(() => {});
      copy.flush();
      leaves.close();
      client.close();
    },
  };
}
