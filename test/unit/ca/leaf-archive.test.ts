import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openCertificateAuthority } from '../../../src/ca/certificate-authority.ts';
import { LeafArchive } from '../../../src/ca/leaf-archive.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { temporaryFolder } from './temporary-folder.ts';

test('gives back what it was given, to the owner only, until it expires or is damaged', async () => {
  const dir = temporaryFolder();
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const ca = await openCertificateAuthority({ dir, datacenter: 'dc1', clock, logger: silentLogger });
  onTestFinished(() => ca.close());
  const folder = path.join(dir, 'leaves');
  const archive = new LeafArchive(folder, silentLogger);
  const [api, web, odd] = await Promise.all(['api', 'web', 'a.b-C_1'].map((service) => ca.issueLeaf(service)));
  if (!api || !web || !odd) throw new Error('three were asked for');

  expect(archive.load('api')).toBeUndefined();
  for (const leaf of [api, web, odd]) archive.save(leaf);
  expect([archive.load('api'), archive.load('web'), archive.load('a.b-C_1')]).toEqual([api, web, odd]);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(folder, 'api.json')).mode & 0o777).toBe(0o600);

  writeFileSync(path.join(folder, 'web.json'), JSON.stringify({ ...web, privateKey: api.privateKey }));
  expect(archive.load('web')).toBeUndefined();
  writeFileSync(path.join(folder, 'api.json'), readFileSync(path.join(folder, 'api.json')).subarray(0, 100));
  expect(archive.load('api')).toBeUndefined();
  expect(archive.load('../leaves/a.b-C_1')).toBeUndefined();

  archive.prune(clock.now());
  expect(readdirSync(folder)).toEqual(['a.b-C_1.json']);
  archive.prune(odd.notAfter);
  expect(readdirSync(folder)).toEqual([]);
});

test('a folder that cannot be made costs nothing but a warning', async () => {
  const dir = temporaryFolder();
  const file = path.join(dir, 'file');
  writeFileSync(file, '');
  const warnings: object[] = [];
  const archive = new LeafArchive(file, { ...silentLogger, warn: (fields) => warnings.push(fields) });
  const leaf = { service: 'api', spiffeId: '', rootId: '', serial: '', notBefore: 0, notAfter: 1, certificateChain: '', privateKey: '' };
  archive.prune(0);
  archive.save(leaf);
  expect(archive.load('api')).toBeUndefined();
  expect(warnings).toMatchObject([{ service: 'api' }]);
});
