import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildResources } from '../../src/envoy/build-resources.ts';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology, type MeshTopology } from '../../src/topology/build-topology.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp } from '../../src/topology/virtual-ips.ts';

/**
 * Small meshes and everything their sidecars get, one file per sidecar, so that the effect of a change on the output is seen in its
 * diff. `npm run golden:refresh` writes them anew and removes those that are no longer made.
 */

const HERE = new URL('.', import.meta.url).pathname;
const REFRESH = process.env.UPDATE_GOLDENS === '1';
const goldens = readdirSync(HERE, { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe.each(goldens.map(({ name }) => name))('%s', (name) => {
  const dir = join(HERE, name);
  const actual = resourcesByProxy(topologyOf(join(dir, 'mesh.yaml')));

  if (REFRESH) {
    for (const file of readdirSync(dir)) if (file.endsWith('.json')) rmSync(join(dir, file));
    mkdirSync(dir, { recursive: true });
    for (const [id, text] of actual) writeFileSync(join(dir, `${id}.json`), text);
  }

  it.each([...actual.keys()])('%s', (id) => {
    const file = join(dir, `${id}.json`);
    expect(actual.get(id), 'run npm run golden:refresh and look at the diff').toBe(existsSync(file) ? readFileSync(file, 'utf8') : '');
  });

  it('has no file left over', () => {
    const files = readdirSync(dir).filter((file) => file.endsWith('.json'));
    expect(files.sort(), 'run npm run golden:refresh').toEqual([...actual.keys()].map((id) => `${id}.json`).sort());
  });
});

function topologyOf(path: string): MeshTopology {
  const { mesh, problems } = parseMeshFiles([{ path, text: readFileSync(path, 'utf8') }]);
  if (!mesh) throw new Error(problems.map(({ message }) => message).join('\n'));
  const { assigned } = allocateVirtualIps(NO_VIRTUAL_IPS, namesNeedingVirtualIp(mesh), { pinned: mesh.pinnedVirtualIps, now: 0 });
  return buildTopology(mesh, { trustDomain: mesh.trustDomain ?? 'mesh.test', virtualIps: new Map(Object.entries(assigned)) });
}

function resourcesByProxy(topology: MeshTopology): ReadonlyMap<string, string> {
  const sidecars = topology.mesh.instances.filter(({ kind, proxy }) => kind === 'connect-proxy' && proxy);
  return new Map(
    sidecars.map((sidecar) => {
      const { resources, problems } = buildResources(resolveProxyView(topology, sidecar), { ipv6: true, version: [1, 36, 4] });
      const dump = Object.fromEntries(resources.map(({ type, name, body }) => [`${type} ${name}`, body]));
      return [sidecar.id, `${JSON.stringify({ ...dump, ...(problems.length > 0 && { problems }) }, undefined, 1)}\n`];
    }),
  );
}
