import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../envoy/lab/eventually.ts';
import { freePort } from '../feature/run-adsum.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { findConsul, whyNoConsul } from './lab/consul-binary.ts';
import { run } from './lab/program.ts';

const reason = whyNoConsul();

/** A Consul that wants client certificates on HTTPS and also listens on a Unix socket. */
describe.skipIf(reason)(`the ways to Consul${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-transport-'));
  const socket = path.join(folder, 'consul.sock');
  const certificates = path.join(folder, 'tls');
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  let https = 0;

  beforeAll(async () => {
    mkdirSync(certificates);
    const tls = (...args: string[]) => run(['sh', '-c', `cd '${certificates}' && exec '${findConsul()}' tls ${args.join(' ')}`]);
    await tls('ca', 'create');
    await tls('cert', 'create', '-server');
    await tls('cert', 'create', '-client');
    https = await freePort();
    const consul = await ConsulAgent.start({
      folder: path.join(folder, 'consul'),
      config: {
        addresses: { http: `127.0.0.1 unix://${socket}` },
        tls: {
          https: { ca_file: file('agent-ca.pem'), cert_file: file('server-consul-0.pem'), key_file: file('server-consul-0-key.pem'), verify_incoming: true },
        },
      },
      ports: { https },
    });
    closers.push(() => consul.kill());
    await consul.put('/v1/catalog/register', { Node: 'vm', Address: '10.0.0.1', Service: { Service: 'web', Port: 80 } });
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
  });

  const file = (suffix: string) => path.join(certificates, readdirSync(certificates).find((name) => name.endsWith(suffix)) ?? suffix);
  const services = async (flags: readonly string[], env: Record<string, string> = {}) => {
    const adsum = await Adsum.launch({ folder: path.join(folder, `adsum-${Math.random()}`), flags, env });
    closers.push(() => adsum.stop());
    return adsum;
  };
  const reads = async (adsum: Adsum) => {
    await adsum.ready('fresh');
    expect((await adsum.get<{ services: { name: string }[] }>('/v1/mesh')).services.map(({ name }) => name)).toEqual(['web']);
    await adsum.stop();
  };

  it('HTTPS with a client certificate and a server name, by flags', async () => {
    const tls = [
      '--consul-ca-file',
      file('agent-ca.pem'),
      '--consul-client-cert',
      file('client-consul-0.pem'),
      '--consul-client-key',
      file('client-consul-0-key.pem'),
    ];
    await reads(await services(['--consul', `https://127.0.0.1:${https}`, '--consul-tls-server-name', 'server.dc1.consul', ...tls]));
  });

  it("by Consul's own variables", async () => {
    const env = {
      CONSUL_HTTP_ADDR: `127.0.0.1:${https}`,
      CONSUL_HTTP_SSL: 'true',
      CONSUL_CACERT: file('agent-ca.pem'),
      CONSUL_CLIENT_CERT: file('client-consul-0.pem'),
      CONSUL_CLIENT_KEY: file('client-consul-0-key.pem'),
      CONSUL_TLS_SERVER_NAME: 'localhost',
    };
    await reads(await services(['--consul', ''], env));
  });

  it('a Unix socket', async () => {
    await reads(await services(['--consul', `unix://${socket}`]));
  });

  it('nothing is served, and why, where the certificate of Consul cannot be trusted', async () => {
    const adsum = await services(['--consul', `https://127.0.0.1:${https}`]);
    await eventually(async () => expect((await adsum.readiness()).reason).toMatch(/Consul is away: .*certificate/));
    expect((await adsum.readiness()).ready).toBe(false);
    await adsum.stop();
  });
});
