import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildCallerSans, buildResources } from '../../src/envoy/build-resources.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { ScratchAuthority } from '../conformance/dump.ts';
import { type RandomMesh, randomMesh } from '../property/random-mesh.ts';
import { parseUncheckedMesh, virtualIpsOf } from '../simulation/parse-mesh.ts';
import { Simulation } from '../simulation/simulate.ts';
import { findEnvoy, release } from './lab/envoy-binary.ts';
import { StaticConfig, validate } from './static-config.ts';

/** Whatever a mesh looks like, Envoy takes what its sidecars are given: many random ones in one start of Envoy in validate mode. */

const MESHES = Number(process.env.RANDOM_MESHES ?? 250);
const TRUST_DOMAIN = 'mesh.test';

const authority = await ScratchAuthority.create(TRUST_DOMAIN);
const secrets = { rootPem: authority.rootPem, leaf: await authority.leaf(`spiffe://${TRUST_DOMAIN}/ns/default/dc/dc1/svc/any`) };

describe.each([release.default, release.newest])('Envoy %s', (version) => {
  const envoy = findEnvoy(version);
  test.skipIf(!envoy)(`accepts what ${MESHES} random meshes lead to`, () => {
    const meshes = fc.sample(randomMesh(), { numRuns: MESHES });
    const { bootstrap, owners } = configOf(meshes, version);
    const { status, complaints } = validate(envoy?.binary ?? '', bootstrap);
    // A refused cluster bears no mark of its mesh; a refused listener does.
    const refused = [...owners].filter(([listener]) => complaints.some((complaint) => complaint.includes(listener))).map(([, mesh]) => mesh);
    expect(complaints, JSON.stringify(refused)).toEqual([]);
    expect(status).toBe(0);
  });
});

/** The listeners of all sidecars, and which mesh each is from. */
function configOf(meshes: readonly RandomMesh[], version: string): { bootstrap: object; owners: ReadonlyMap<string, RandomMesh> } {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const config = new StaticConfig(secrets);
  const owners = new Map<string, RandomMesh>();
  for (const file of meshes) {
    const mesh = parseUncheckedMesh(file);
    const { topology, sidecars } = new Simulation(mesh, virtualIpsOf(mesh));
    for (const { instance } of sidecars) {
      const view = resolveProxyView(topology, instance);
      const { resources } = buildResources(view, { ipv6: true, version: [major, minor, patch] });
      for (const listener of config.addProxy(resources, buildCallerSans(view) ?? [])) owners.set(listener, file);
    }
  }
  return { bootstrap: config.bootstrap(), owners };
}
