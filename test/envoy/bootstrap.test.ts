import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findDefaultEnvoy, findEnvoy, release } from '../../scripts/envoy-binary.mjs';
import { type BootstrapInput, buildBootstrap } from '../../src/envoy/bootstrap.ts';
import { buildTokenSds } from '../../src/envoy/bootstrap-secrets.ts';

const base: BootstrapInput = {
  proxyId: 'web-sidecar-proxy',
  service: 'web',
  datacenter: 'dc1',
  // Nothing listens there.
  controlPlane: { kind: 'ip', host: '127.0.0.1', port: 1 },
  admin: { address: '127.0.0.1', port: 0 },
  ipv6: true,
  maxDownstreamConnections: 1000,
};
const folder = mkdtempSync(path.join(tmpdir(), 'adsum-bootstrap-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(input: BootstrapInput): string {
  const file = path.join(folder, 'bootstrap.json');
  writeFileSync(file, JSON.stringify(buildBootstrap(input)));
  return file;
}

const tokenFile = path.join(folder, 'token');
writeFileSync(tokenFile, 'secret');
const sdsFile = path.join(folder, 'token.json');
writeFileSync(sdsFile, JSON.stringify(buildTokenSds(tokenFile)));

const envoys = [findDefaultEnvoy(), findEnvoy(release.newest)].filter((envoy) => envoy !== undefined);
if (envoys.length === 0) test.skip('the bootstrap in a real Envoy (none is here: node scripts/prepare-machine.mjs)', () => {});

describe.each(envoys)('Envoy $version', ({ binary }) => {
  test.each<[string, Partial<BootstrapInput>]>([
    ['an IP address', {}],
    ['a DNS name', { controlPlane: { kind: 'dns', host: 'adsum.example', port: 18000 } }],
    ['a Unix socket', { controlPlane: { kind: 'unix', path: '/run/adsum.sock' } }],
    ['a token and a node name', { token: { inline: 'secret' }, nodeName: 'vm-web' }],
    ['a token in a file', { token: { file: tokenFile } }],
    ['a token in a file that is watched', { token: { file: tokenFile, sds: sdsFile } }],
  ])('accepts a control plane at %s', (_what, change) => {
    const result = spawnSync(binary, ['--mode', 'validate', '-l', 'warning', '-c', write({ ...base, ...change })], { encoding: 'utf8' });
    expect(result.stderr).toBe('');
    expect(result.status).toBe(0);
  });

  test('starts without a word of warning and waits for its control plane', async () => {
    const child = spawn(binary, ['-c', write(base), '--disable-hot-restart'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    await new Promise<void>((started) => {
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('starting main dispatch loop')) started();
      });
      child.once('exit', () => started());
    });
    child.kill('SIGKILL');
    expect(log).toContain('starting main dispatch loop');
    expect(log.match(/.*\[(warning|error|critical)\].*/g) ?? []).toEqual([]);
  });
});
