import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCertificateAuthority } from '../../../src/ca/certificate-authority.ts';
import { LeafArchive } from '../../../src/ca/leaf-archive.ts';
import { KeptCopy } from '../../../src/control-plane/kept-copy.ts';
import { VirtualIpStore } from '../../../src/control-plane/virtual-ip-store.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger as logger } from '../../../src/runtime/logger.ts';
import { readRegularFile, readRegularText } from '../../../src/runtime/regular-file.ts';
import { resolveConsulTarget } from '../../../src/sources/consul/consul-target.ts';
import { runAdsum } from '../../feature/run-adsum.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'regular-file-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => path.join(folder, name);
const fifo = (name: string) => {
  execFileSync('mkfifo', [at(name)]);
  return at(name);
};

test('the content, also of a file whose size says nothing, up to the limit', () => {
  writeFileSync(at('a'), 'x'.repeat(200_000));
  expect(readRegularText(at('a'))).toHaveLength(200_000);
  expect(readRegularText(at('a'), 200_000)).toHaveLength(200_000);
  expect(() => readRegularText(at('a'), 199_999)).toThrow('larger');
  expect(readRegularText('/proc/self/status')).toContain('Pid:');
});

test('a FIFO, a device and a folder are refused at once', () => {
  expect(() => readRegularFile(fifo('f'))).toThrow('no regular file');
  expect(() => readRegularFile('/dev/zero')).toThrow('no regular file');
  expect(() => readRegularFile(folder)).toThrow('a folder');
  symlinkSync('/dev/zero', at('link'));
  expect(() => readRegularFile(at('link'))).toThrow('no regular file');
});

test('no file that adsum reads can keep it waiting', async () => {
  fifo('ca.json');
  const clock = new ManualClock();
  await expect(openCertificateAuthority({ dir: folder, datacenter: 'dc1', clock, logger })).rejects.toThrow('no regular file');
  fifo('virtual-ips.json');
  expect(() => new VirtualIpStore({ dataDir: folder })).toThrow('no regular file');
  fifo('web.json');
  expect(new LeafArchive(folder, logger).load('web')).toBeUndefined();
  expect(new KeptCopy({ file: fifo('copy'), of: 'it', delayMs: 0, parse: () => 1, clock, logger }).load()).toBeUndefined();
  expect(() => resolveConsulTarget({ address: 'http://127.0.0.1:8500', tokenFile: fifo('token') }, {})).toThrow('no regular file');
  expect(() => resolveConsulTarget({ address: 'https://127.0.0.1:8501', caFile: '/dev/zero' }, {})).toThrow('no regular file');
  const serve = await runAdsum(['serve', '--mesh', at('mesh.yaml'), '--tls-cert', fifo('cert'), '--tls-key', fifo('key'), '--data-dir', folder]);
  expect(serve.err).toContain('no regular file');
  const bootstrap = await runAdsum(['bootstrap', '--sidecar-for', 'web', '--grpc-addr', '10.0.0.1:18000', '--tls-ca', fifo('ca')]);
  expect(bootstrap.err).toContain('no regular file');
});
