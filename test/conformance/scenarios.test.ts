import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseMeshFiles } from '../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../src/topology/build-topology.ts';
import { findProxies } from '../../src/topology/topology.ts';
import { allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp } from '../../src/topology/virtual-ips.ts';
import { dumpProxy, ScratchAuthority } from './dump.ts';

/**
 * What a real Consul served for the same mesh, compared resource by resource by an independent referee, without starting a server.
 * Skipped where the recordings or the referee are not at hand. `ONLY=02[0-9]` runs some; `SHOW=1` prints the differences; `SCENARIOS=DIR` takes other recordings.
 */

const CONFORMANCE = new URL('../../../shared/conformance/', import.meta.url).pathname;
const SCENARIOS = process.env.SCENARIOS ?? join(CONFORMANCE, 'scenarios');
const probe = findProbe();
const scenarios = probe && existsSync(SCENARIOS) ? readdirSync(SCENARIOS).filter((name) => new RegExp(process.env.ONLY ?? '').test(name)) : [];
const deliberate = readFileSync(new URL('deliberate-differences.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.trim() && !line.startsWith('#'))
  .flatMap((line) => ['--ignore', (line.split('  #')[0] ?? '').trim()]);

const missing = probe ? (scenarios.length === 0 ? ' (skipped: no recordings beside the repository)' : '') : ' (skipped: the referee xdsprobe is not built)';

describe.skipIf(missing !== '')(`as a real Consul${missing}`, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'adsum-conformance-'));
  afterAll(() => rmSync(scratch, { recursive: true }));

  it.each(scenarios)('%s', async (scenario) => {
    const dir = join(SCENARIOS, scenario);
    const { mesh, problems } = parseMeshFiles([{ path: join(dir, 'mesh.json'), text: readFileSync(join(dir, 'mesh.json'), 'utf8') }]);
    if (!mesh) throw new Error(JSON.stringify(problems, undefined, 1));
    const trustDomain = '11111111-2222-3333-4444-555555555555.consul';
    const { assigned } = allocateVirtualIps(NO_VIRTUAL_IPS, namesNeedingVirtualIp(mesh), { pinned: mesh.pinnedVirtualIps, now: 0 });
    const topology = buildTopology(mesh, { trustDomain, virtualIps: new Map(Object.entries(assigned)) });
    const authority = await ScratchAuthority.create(trustDomain);
    const differences: string[] = [];
    for (const file of readdirSync(join(dir, 'expected'))) {
      const id = file.replace(/\.json$/, '');
      if (findProxies(topology, id).length === 0) continue;
      const actual = join(scratch, file);
      writeFileSync(actual, JSON.stringify(await dumpProxy(topology, id, authority)));
      const { stdout, stderr, status } = spawnSync(probe ?? '', ['compare', '--any-hash', ...deliberate, join(dir, 'expected', file), actual], {
        encoding: 'utf8',
      });
      if (status !== 0) differences.push(`${id}: ${process.env.SHOW ? stdout : `${stdout.match(/^@@ .*/gm)?.join('\n')}`}${stderr}`);
    }
    expect(differences.join('\n')).toBe('');
  });
});

function findProbe(): string | undefined {
  const cache = join(homedir(), '.cache', 'xdsprobe');
  const [binary] = existsSync(cache) ? readdirSync(cache).filter((name) => /^[0-9a-f]{16}$/.test(name)) : [];
  return binary && join(cache, binary);
}
