import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ProxyStatus } from '../../src/admin/admin-api.ts';
import { Program } from '../consul/lab/program.ts';
import { createServerCertificate } from '../feature/certificates.ts';
import { runAdsum, serveAdsum, temporaryFolder, until } from '../feature/run-adsum.ts';
import { adsumProgram, findDefaultEnvoy, findEnvoy, labNode, release } from './lab/envoy-binary.ts';

const MESH = `
nodes:
  - name: vm
    address: 127.0.0.1
    services:
      - { name: web, port: 28080, connect: { sidecar_service: { port: 28081, proxy: { config: { bind_address: 127.0.0.1 } } } } }
      - { name: api, port: 28090, connect: { sidecar_service: { port: 28091, proxy: { config: { bind_address: 127.0.0.1 } } } } }
`;
const PATIENCE_MS = 90_000;

const envoys = [findDefaultEnvoy(), findEnvoy(release.newest)].filter((envoy) => envoy !== undefined);
if (envoys.length === 0) test.skip('identities with a real Envoy (none is here: node scripts/prepare-machine.mjs)', () => {});

/** An adsum that asks for identities, over TLS. */
async function start(binary: string) {
  const folder = temporaryFolder();
  const tls = await createServerCertificate(folder, 'localhost');
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const dataDir = path.join(folder, 'data');
  const adsum = await serveAdsum(file, { dataDir, args: ['--require-identity', '--tls-cert', tls.cert, '--tls-key', tls.key] });
  const run = async (...args: string[]) => {
    const { status, out, err } = await runAdsum([...args, '--admin-addr', `unix://${path.join(dataDir, 'admin.sock')}`]);
    if (status !== 0) throw new Error(err);
    return out;
  };
  const status = async (service: string) => (await adsum.get(`/v1/proxies/${service}-sidecar-proxy`)).body as ProxyStatus;
  /** `adsum envoy` as a user runs it. */
  const sidecar = (service: string, flags: readonly string[], env: Record<string, string> = {}) => {
    const socket = path.join(folder, `${service}.sock`);
    const where = ['--sidecar-for', service, '--service', service, '--datacenter', 'dc1', '--grpc-addr', adsum.grpc, '--tls-ca', tls.ca];
    const own = ['--envoy-binary', binary, '--admin-bind', `unix://${socket}`, '--shutdown-grace-s', '0', ...flags];
    const program = new Program([labNode, adsumProgram, 'envoy', ...where, ...own, '--', '--concurrency', '1', '-l', 'warning'], env);
    onTestFinished(() => program.stop());
    return { program, dump: () => ask(socket, '/config_dump') };
  };
  const served = async (service: string) => {
    await until(async () => {
      const { state, streams } = await status(service);
      // an Envoy that comes back has everything already, and is sent nothing that it could acknowledge
      return state === 'connected' && streams.some(({ types }) => types.some(({ type, pending }) => type === 'secret' && !pending));
    }, PATIENCE_MS);
  };
  /** Tells one stream from the next. */
  const stream = async (service: string) => (await status(service)).streams[0]?.connected_at;
  const refused = async (service: string, reason: string) => {
    await until(async () => {
      const { state, refused } = await status(service);
      return state === 'disconnected' && refused?.reason.includes(reason) === true;
    }, PATIENCE_MS);
  };
  return { folder, run, sidecar, stream, served, refused };
}

function ask(socketPath: string, where: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = http.get({ socketPath, path: where, headers: { host: 'envoy' } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    call.on('error', reject);
  });
}

/** Command lines and environments of all processes, where this user may look. */
function argumentsOf(pid: number): string {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return [pid, ...children].map((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8')).join('\n');
}

describe.each(envoys)('Envoy $version', ({ binary }) => {
  test('is served with a token from a file; a new one in the file replaces one that is revoked; without a good one nothing is served', async () => {
    const { folder, run, sidecar, stream, served, refused } = await start(binary);
    const file = path.join(folder, 'web.token');
    await run('token', 'create', '--service', 'web', '--out', file);
    const first = readFileSync(file, 'utf8');
    const { program, dump } = sidecar('web', ['--token-file', file]);
    await served('web');
    // neither in what Envoy shows nor in `ps`
    const shown = await dump();
    expect(shown).toContain('BootstrapConfigDump');
    expect(shown).not.toContain(first);
    expect(shown).not.toContain('PRIVATE KEY-----');
    expect(argumentsOf(program.pid)).not.toContain(first);

    const api = sidecar('api', ['--token-file', file]);
    await refused('api', 'the token of api-sidecar-proxy is not for the service api');
    expect(await api.dump()).not.toContain('public_listener');

    await run('token', 'create', '--service', 'web', '--out', file);
    const second = readFileSync(file, 'utf8');
    expect(second).not.toBe(first);
    const before = await stream('web');
    await run('token', 'revoke', first.split('_')[1] ?? '');
    // its stream has ended; the one that follows shows what is in the file now
    await until(async () => (await stream('web')) !== before, PATIENCE_MS);
    await served('web');

    await run('token', 'revoke', second.split('_')[1] ?? '');
    await refused('web', 'was revoked');
  });

  test('is served with a token from the environment, which no dump shows', async () => {
    const { run, sidecar, served } = await start(binary);
    const token = (await run('token', 'create', '--service', 'web')).trim();
    const { dump } = sidecar('web', [], { CONSUL_HTTP_TOKEN: token });
    await served('web');
    expect(await dump()).not.toContain(token);
  });

  test('is served with a leaf as its client certificate; one of another service is refused', async () => {
    const { folder, run, sidecar, served, refused } = await start(binary);
    const out = path.join(folder, 'leaf');
    await run('ca', 'issue', '--service', 'web', '--out', out);
    const certificate = ['--client-cert', path.join(out, 'cert.pem'), '--client-key', path.join(out, 'key.pem')];
    sidecar('web', certificate);
    await served('web');
    sidecar('api', certificate);
    await refused('api', 'the certificate of api-sidecar-proxy is not for the service api');
  });
});
