import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCaState } from '../../src/ca/ca-state.ts';
import { openCertificateAuthority } from '../../src/ca/certificate-authority.ts';
import { LeafArchive } from '../../src/ca/leaf-archive.ts';
import { LastGoodMesh } from '../../src/control-plane/last-good-mesh.ts';
import { TokenStore } from '../../src/control-plane/token-store.ts';
import { VirtualIpStore } from '../../src/control-plane/virtual-ip-store.ts';
import type { Mesh } from '../../src/mesh/mesh.ts';
import { ManualClock } from '../../src/runtime/clock.ts';
import { silentLogger as logger } from '../../src/runtime/logger.ts';
import { parseMesh } from '../simulation/parse-mesh.ts';

/** Damaged state is noticed: it is refused or, where it is only a copy, not used. `PROPERTY_RUNS=5000` looks longer. */

const RUNS = Number(process.env.PROPERTY_RUNS ?? 60);
const clock = new ManualClock(Date.UTC(2026, 0, 1));
let dir = '';
let mesh: Mesh;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'adsum-state-'));
  const services = ['web', 'api'].map((name) => ({ name, port: 80, connect: { sidecar_service: {} } }));
  mesh = parseMesh({ nodes: [{ name: 'vm', address: '10.0.0.1', services }], virtual_ips: { web: 'fd00::1' } });
  const ca = await openCertificateAuthority({ dir, datacenter: 'dc1', clock, logger });
  new LeafArchive(path.join(dir, 'leaves'), logger).save(await ca.issueLeaf('web'));
  ca.close();
  new VirtualIpStore({ dataDir: dir }).assign(mesh, 0);
  new TokenStore({ dataDir: dir, clock }).create({ service: 'web' });
  const copy = new LastGoodMesh({ dataDir: dir, clock, logger });
  copy.save([{ path: 'mesh.yaml', text: 'nodes: []' }]);
  copy.flush();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** How each is read; `undefined` and an error say that it was not taken. */
const FILES: Record<string, () => unknown> = {
  'ca.json': () => readCaState(dir),
  'virtual-ips.json': () => [...new VirtualIpStore({ dataDir: dir }).assign(mesh, 0).addresses],
  'last-good-mesh.json': () => new LastGoodMesh({ dataDir: dir, clock, logger }).load(),
  'tokens.json': () => new TokenStore({ dataDir: dir, clock }).list(),
  'leaves/web.json': () => new LeafArchive(path.join(dir, 'leaves'), logger).load('web'),
};

describe.each(Object.entries(FILES))('%s', (name, read) => {
  const file = () => path.join(dir, name);
  const taken = (content: Uint8Array): unknown => {
    const before = readFileSync(file());
    writeFileSync(file(), content);
    try {
      return read();
    } catch (error) {
      expect(error).toMatchObject({ name: expect.stringMatching(/^(CaError|StateError)$/), file: file() });
      return undefined;
    } finally {
      writeFileSync(file(), before);
    }
  };

  test('with one flipped bit is refused, or says the same', { timeout: 300_000 }, () => {
    const whole = readFileSync(file());
    const expected = read();
    fc.assert(
      fc.property(fc.nat(whole.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const found = taken(flipped);
        if (found !== undefined) expect(found).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  });

  test('cut off anywhere is refused', { timeout: 300_000 }, () => {
    const whole = readFileSync(file());
    fc.assert(
      fc.property(fc.nat(whole.length - 3), (length) => {
        expect(taken(whole.subarray(0, length))).toBeUndefined();
      }),
      { numRuns: RUNS },
    );
  });

  test('of something else altogether is refused', () => {
    for (const text of ['', '\0\0\0\0', 'null', '[]', '{}', '"x"', '{"checksum":1}']) expect(taken(Buffer.from(text))).toBeUndefined();
  });
});

test('addresses that cannot stand for a service, or stand for two, are damage', () => {
  const file = path.join(dir, 'virtual-ips.json');
  const before = readFileSync(file);
  const state = { assigned: { web: '240.0.0.1', api: '240.0.0.2' }, released: [], nextFresh: 4026531843 };
  for (const wrong of [
    { assigned: { web: '127.0.0.1' } },
    { assigned: { web: '0.0.0.0' } },
    { assigned: { web: '224.0.0.1' } },
    { assigned: { web: '255.255.255.255' } },
    { assigned: { web: '240.0.0.1', api: '240.0.0.1' } },
    { assigned: { 'a b': '240.0.0.1' } },
    { released: [{ service: 'old', address: '240.0.0.1', releasedAtMs: 0 }] },
    { nextFresh: 5 },
    { nextFresh: 2 ** 33 },
  ]) {
    writeFileSync(file, JSON.stringify({ ...state, ...wrong }));
    expect(() => new VirtualIpStore({ dataDir: dir }), JSON.stringify(wrong)).toThrow('is damaged');
  }
  writeFileSync(file, JSON.stringify(state));
  new VirtualIpStore({ dataDir: dir });
  writeFileSync(file, before);
});

test('what is missing beside other state is asked for, never made anew', async () => {
  const open = () => openCertificateAuthority({ dir, datacenter: 'dc1', clock, logger });
  for (const [name, reopen] of [
    ['ca.json', open],
    ['virtual-ips.json', async () => new VirtualIpStore({ dataDir: dir })],
  ] as const) {
    const before = readFileSync(path.join(dir, name));
    rmSync(path.join(dir, name));
    await expect(reopen()).rejects.toThrow(/missing/);
    writeFileSync(path.join(dir, name), before);
    await reopen();
  }
});
