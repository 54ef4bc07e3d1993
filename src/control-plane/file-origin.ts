import path from 'node:path';
import { openCertificateAuthority } from '../ca/certificate-authority.ts';
import { LeafArchive } from '../ca/leaf-archive.ts';
import { LeafStore } from '../ca/leaf-store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { MeshFileParser, parseMeshFiles } from '../sources/parse-mesh-files.ts';
import { readMeshFiles } from '../sources/read-mesh-files.ts';
import { watchMeshFiles } from '../sources/watch-mesh-files.ts';
import { LastGoodMesh } from './last-good-mesh.ts';
import { MeshError } from './mesh-error.ts';
import type { MeshOrigin } from './mesh-origin.ts';
import { reportDeliveredRoots } from './roots-delivery.ts';
import { VirtualIpStore } from './virtual-ip-store.ts';

/** How long a new root waits for proxies that do not acknowledge it, before it signs all the same. */
const ROOT_PROPAGATION_MS = 60_000;

export interface FileOriginOptions {
  /** Mesh files and folders of them. */
  readonly meshPaths: readonly string[];
  readonly dataDir: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1; spreads renewals. */
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * A mesh out of files, with adsum's own CA and virtual IPs.
 * @throws MeshError, StateError, CaError
 */
export async function openFileOrigin(options: FileOriginOptions): Promise<MeshOrigin> {
  const { clock, logger } = options;
  const closers: (() => unknown)[] = [];
  const lastGood = new LastGoodMesh({ dataDir: options.dataDir, clock, logger });
  closers.push(() => lastGood.flush());
  const parser = new MeshFileParser();
  const first = firstMesh(options.meshPaths, lastGood, parser);

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

  return {
    authority: ca,
    leaves,
    virtualIps: new VirtualIpStore({ dataDir: options.dataDir }),
    fixed: { trustDomain: ca.trustDomain, datacenter: ca.datacenter },
    datacenter: () => ca.datacenter,
    first(loader) {
      if (!loader.load(first)) throw new MeshError(loader.problems);
      if (first.staleBecause) loader.markStale('the mesh files have errors; the copy from the last run is served', first.staleBecause);
    },
    async follow({ loader, reconciler, xds }) {
      closers.push(reportDeliveredRoots({ ca, clock, idle: () => reconciler.idle, streams: () => xds.streams() }));
      const watching = new AbortController();
      closers.push(() => watching.abort());
      await watchMeshFiles({
        paths: options.meshPaths,
        known: first.files,
        parser,
        signal: watching.signal,
        logger,
        onChange: (result) => {
          if (loader.load(result)) lastGood.save(result.files);
        },
      });
    },
    close() {
      for (const closer of closers.splice(0).reverse()) closer();
    },
  };
}

/** The mesh as the files have it, or else the copy of the last run. */
function firstMesh(paths: readonly string[], lastGood: LastGoodMesh, parser: MeshFileParser) {
  const read = readMeshFiles(paths, parser);
  if (read.mesh) {
    lastGood.save(read.files);
    return { ...read, mesh: read.mesh, staleBecause: undefined };
  }
  const copy = lastGood.load();
  const old = copy && parseMeshFiles(copy);
  if (!copy || !old?.mesh) throw new MeshError(read.problems);
  return { files: copy, mesh: old.mesh, problems: old.problems, staleBecause: read.problems };
}
