import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProxyStatus } from '../../src/admin/admin-api.ts';
import { Agent } from '../envoy/lab/agent.ts';
import { adsumProgram, labEnvoy, whyNoLab } from '../envoy/lab/envoy-binary.ts';
import { eventually } from '../envoy/lab/eventually.ts';
import { Network, type NetworkHost } from '../envoy/lab/network.ts';
import { LabProcess } from '../envoy/lab/process.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { ConsulHost } from './lab/consul-host.ts';

const reason = whyNoConsul() ?? whyNoLab();
const MANAGEMENT = '11111111-2222-3333-4444-555555555555';
const READ_ONLY = 'node_prefix "" { policy = "read" }\nservice_prefix "" { policy = "read" }\nagent_prefix "" { policy = "read" }\nmesh = "read"\n';

/** Consul (ACLs, default deny) and adsum on one host; sidecars on another, that have nothing but their own tokens. */
describe.skipIf(reason)(`a sidecar's host, with ACLs${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-host-'));
  let network: Network;
  let far: NetworkHost;
  let near: NetworkHost;
  let consul: ConsulHost;
  let control: Agent;
  let app: Agent;
  let adsum: LabProcess;
  const tokens: Record<string, string> = {};

  beforeAll(async () => {
    chmodSync(folder, 0o755);
    network = new Network();
    [far, near] = [network.addHost('control'), network.addHost('mesh')];
    control = new Agent(far.namespace, 0, '127.0.0.1');
    app = new Agent(near.namespace, 0, '127.0.0.1');
    const acl = { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT, agent: MANAGEMENT } };
    consul = await ConsulHost.start(far, path.join(folder, 'consul'), { config: { acl }, token: MANAGEMENT });
    for (const [at, name] of ['api', 'web'].entries()) {
      await app.listen({ kind: 'http', name, port: 9_000 + at, address: '127.0.0.1' });
      await consul.registerSidecar(name, 9_000 + at, 21_000 + at, name === 'web' ? { api: 5_000 } : {});
      tokens[name] = (JSON.parse(consul.cli('acl', 'token', 'create', '-service-identity', name, '-format', 'json')) as { SecretID: string }).SecretID;
    }
    consul.cli('intention', 'create', 'web', 'api');
    for (const [name, rules] of Object.entries({ adsum: READ_ONLY, narrow: 'service "web" { policy = "write" }' })) {
      const policy = path.join(folder, `${name}.hcl`);
      writeFileSync(policy, rules);
      consul.cli('acl', 'policy', 'create', '-name', name, '-rules', `@${policy}`);
      tokens[name] = (JSON.parse(consul.cli('acl', 'token', 'create', '-policy-name', name, '-format', 'json')) as { SecretID: string }).SecretID;
    }
    const listen = ['--grpc', `${far.ipv4}:18000`, '--insecure-plaintext', '--admin', '0.0.0.0:18001', '--data-dir', path.join(folder, 'adsum')];
    const command = [process.execPath, adsumProgram, 'serve', '--consul', 'http://127.0.0.1:8500', ...listen];
    adsum = new LabProcess(far.namespace, 0, command, { CONSUL_HTTP_TOKEN: tokens.adsum ?? '' });
    await eventually(async () => expect((await control.http({ host: '127.0.0.1', port: 18_001, path: '/readyz' })).status, adsum.output).toBe(200));
  });

  afterAll(() => {
    network?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** An adsum command on the sidecars' host. */
  const run = async (token: string | undefined, ...args: string[]) => {
    const env = { ADSUM_ADDR: `http://${far.ipv4}:18001`, ...(token === undefined ? {} : { CONSUL_HTTP_TOKEN: token }) };
    const command = new LabProcess(near.namespace, 0, [process.execPath, adsumProgram, ...args], env);
    const status = await command.ended();
    return { status, output: command.output };
  };
  const startSidecar = (name: string, adminPort: number, token: string | undefined) => {
    const where = ['--sidecar-for', name, '--grpc-addr', `${far.ipv4}:18000`, '--admin-bind', `127.0.0.1:${adminPort}`, '--envoy-binary', labEnvoy().binary];
    const command = [process.execPath, adsumProgram, 'envoy', ...where, ...(token ? ['--token', token] : []), '--', '--concurrency', '1', '-l', 'warning'];
    return new LabProcess(near.namespace, 0, command, { ADSUM_ADDR: `http://${far.ipv4}:18001` });
  };
  const statusOf = async (id: string) => {
    const { body = '' } = await control.http({ host: '127.0.0.1', port: 18_001, path: '/v1/proxies' });
    return (JSON.parse(body) as { proxies: ProxyStatus[] }).proxies.find((one) => one.id === id);
  };
  const onAdsumsHost = async (...args: string[]) => {
    const command = new LabProcess(far.namespace, 0, [process.execPath, adsumProgram, ...args]);
    await command.ended();
    return command.output;
  };
  /** What Envoy has of adsum, beyond what its bootstrap holds. */
  const dynamic = async (adminPort: number) => {
    const { body = '' } = await app.http({ host: '127.0.0.1', port: adminPort, path: '/config_dump?include_eds' });
    const { configs } = JSON.parse(body) as { configs: object[] };
    return configs.flatMap((part) => Object.entries(part).filter(([name]) => name.startsWith('dynamic_')));
  };

  it('its own token: configured by `adsum envoy`, and traffic flows', async () => {
    startSidecar('api', 19_000, tokens.api);
    startSidecar('web', 19_001, tokens.web);
    await eventually(async () => expect((await app.http({ host: '127.0.0.1', port: 5_000 })).status, adsum.output).toBe(200));
    expect((await statusOf('web-sidecar-proxy'))?.state).toBe('connected');
    expect((await dynamic(19_001)).map(([name]) => name)).toEqual(expect.arrayContaining(['dynamic_listeners', 'dynamic_active_clusters']));
  });

  it.each([
    ['none', 19_002, () => undefined, /presents no token: give one with service:write on api/],
    ['that of another service', 19_003, () => tokens.web, /may not write the service api/],
    ['an unknown one', 19_004, () => '00000000-0000-0000-0000-00000000dead', /may not write the service api/],
  ] as [string, number, () => string | undefined, RegExp][])(
    "%s: refused in Envoy's log, adsum's log and `adsum proxies`, and given nothing",
    async (_, adminPort, token, words) => {
      const envoy = startSidecar('api', adminPort, token());
      await eventually(() => expect(envoy.output).toMatch(words));
      expect(envoy.output).toMatch(/DeltaAggregatedResources gRPC config stream to \S+ closed: 7, /);
      expect(adsum.output).toMatch(words);
      const status = await statusOf('api-sidecar-proxy');
      expect(status?.refused?.reason).toMatch(words);
      // the good one is not disturbed
      expect(status?.state).toBe('connected');
      expect(await onAdsumsHost('proxies')).toMatch(/^ {2}REFUSED at \S+, \S+: /m);
      expect(await dynamic(adminPort)).toEqual([]);
      await envoy.stop();
    },
  );

  it('a proxy that is not registered yet waits, and `adsum proxies` says for what', async () => {
    const envoy = startSidecar('ghost', 19_005, tokens.web);
    await eventually(async () => {
      const status = await statusOf('ghost-sidecar-proxy');
      expect([status?.state, status?.reason]).toEqual(['waiting', "no proxy 'ghost-sidecar-proxy' is registered"]);
    });
    await envoy.stop();
  });

  it("ports and names are found with the sidecar's token, and with no other", async () => {
    const bootstrap = ['bootstrap', '--sidecar-for', 'web', '--grpc-addr', `${far.ipv4}:18000`];
    const redirect = ['redirect-traffic', '--proxy-uid', '5995', '--proxy-id', 'web-sidecar-proxy', '--dry-run'];
    const found = await run(tokens.web, ...redirect);
    expect([found.status, found.output]).toEqual([0, expect.stringContaining('21001')]);
    const own = await run(tokens.web, ...bootstrap);
    expect(own.output).toContain('the token goes to http://10.77.0.1:18001 in clear text');
    expect(own.output).toContain('"cluster": "web"');
    for (const token of [undefined, tokens.api]) {
      const refused = await run(token, ...redirect);
      expect([refused.status, refused.output]).toEqual([1, expect.stringContaining('needs a token that may write the service of that proxy')]);
      const alone = await run(token, ...bootstrap);
      expect([alone.status, alone.output]).toEqual([0, expect.stringContaining('the bootstrap holds what the flags say')]);
    }
  });

  it('from other hosts the mesh is seen by whoever may read all of Consul', async () => {
    const paths = ['/v1/proxies', '/v1/mesh', '/v1/problems', '/v1/intentions/check?source=web&destination=api', '/v1/ca/roots', '/v1/proxies/nobody'];
    const ask = async (token: string | undefined, where: string) => {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return (await app.http({ host: far.ipv4, port: 18_001, path: where, headers })).status;
    };
    for (const where of paths) {
      expect([where, await ask(undefined, where), await ask(tokens.narrow, where)]).toEqual([where, 403, 403]);
      expect([where, await ask(tokens.adsum, where)]).toEqual([where, where.endsWith('nobody') ? 404 : 200]);
    }
    // a service identity may read all services and nodes of Consul, and so here
    expect(await ask(tokens.web, '/v1/mesh')).toBe(200);
    expect(await ask(tokens.narrow, '/v1/proxies/web-sidecar-proxy/config')).toBe(200);
    expect(await ask(tokens.web, '/v1/proxies/api-sidecar-proxy/config')).toBe(403);
    for (const where of ['/healthz', '/readyz']) expect(await ask(undefined, where)).toBe(200);
    expect([await ask(undefined, '/metrics'), await ask(tokens.adsum, '/metrics')]).toEqual([403, 200]);
    expect((await control.http({ host: '127.0.0.1', port: 18_001, path: '/v1/mesh' })).status).toBe(200);
  });
});
