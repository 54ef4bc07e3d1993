import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildCallerSans, buildResources } from '../../src/envoy/build-resources.ts';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../src/topology/build-topology.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp } from '../../src/topology/virtual-ips.ts';
import { ScratchAuthority } from '../conformance/dump.ts';
import { findEnvoy, release } from './lab/envoy-binary.ts';
import { StaticConfig, validate } from './static-config.ts';

/**
 * Everything that the golden meshes (and the recorded ones, where they are at hand) give their sidecars, loaded into Envoy in validate
 * mode: all of it at once, made static, with names and ports kept apart.
 */

const GOLDEN = new URL('../golden/', import.meta.url).pathname;
const RECORDED = new URL('../../../shared/conformance/scenarios/', import.meta.url).pathname;
const TRUST_DOMAIN = '11111111-2222-3333-4444-555555555555.consul';

const authority = await ScratchAuthority.create(TRUST_DOMAIN);
const leaf = await authority.leaf(`spiffe://${TRUST_DOMAIN}/ns/default/dc/dc1/svc/any`);

describe.each([release.default, release.newest])('Envoy %s', (version) => {
  const envoy = findEnvoy(version);
  test.skipIf(!envoy)('accepts what the golden meshes lead to', () => accepts(envoy?.binary ?? '', meshFiles(GOLDEN, 'mesh.yaml'), version));
  test.skipIf(!envoy || !existsSync(RECORDED))('accepts what the recorded meshes lead to', () =>
    accepts(envoy?.binary ?? '', meshFiles(RECORDED, 'mesh.json'), version),
  );
});

function meshFiles(folder: string, file: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name, file))
    .filter((path) => existsSync(path));
}

function accepts(binary: string, meshes: readonly string[], version: string): void {
  const config = new StaticConfig({ rootPem: authority.rootPem, leaf });
  for (const mesh of meshes) addMesh(config, mesh, version);
  expect(config.size).toBeGreaterThan(meshes.length);
  expect(validate(binary, config.bootstrap())).toEqual({ status: 0, complaints: [] });
}

function addMesh(config: StaticConfig, path: string, version: string): void {
  const { mesh } = parseMeshFiles([{ path, text: readFileSync(path, 'utf8') }]);
  if (!mesh) throw new Error(`${path} has errors`);
  const { assigned } = allocateVirtualIps(NO_VIRTUAL_IPS, namesNeedingVirtualIp(mesh), { pinned: mesh.pinnedVirtualIps, now: 0 });
  const topology = buildTopology(mesh, { trustDomain: TRUST_DOMAIN, virtualIps: new Map(Object.entries(assigned)) });
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  for (const sidecar of mesh.instances.filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy)) {
    const view = resolveProxyView(topology, sidecar);
    config.addProxy(buildResources(view, { ipv6: true, version: [major, minor, patch] }).resources, buildCallerSans(view) ?? []);
  }
}
