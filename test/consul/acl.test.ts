import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RESOURCE_TYPES } from '../../src/cache/resource.ts';
import { encode } from '../../src/proto/codec.ts';
import { eventually } from '../envoy/lab/eventually.ts';
import { ADS, nodeOf, rawCall, readGot } from '../protocol/grpc-wire.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { registerInCatalog } from './lab/shop.ts';

const reason = whyNoConsul();
const MANAGEMENT = '11111111-2222-3333-4444-555555555555';

/** The policy that docs/consul.md gives adsum: it may write nothing. */
const READ_ONLY = 'node_prefix "" { policy = "read" }\nservice_prefix "" { policy = "read" }\nagent_prefix "" { policy = "read" }\nmesh = "read"\n';

describe.skipIf(reason)(`with ACLs${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-acl-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  let consul: ConsulAgent;
  let adsum: Adsum;

  const token = async (name: string, rules: string) => {
    const file = path.join(folder, `${name}.hcl`);
    writeFileSync(file, rules);
    await consul.cli('acl', 'policy', 'create', '-name', name, '-rules', `@${file}`);
    return JSON.parse(await consul.cli('acl', 'token', 'create', '-policy-name', name, '-format', 'json')) as { SecretID: string; AccessorID: string };
  };

  beforeAll(async () => {
    const acl = { enabled: true, default_policy: 'deny', tokens: { initial_management: MANAGEMENT, agent: MANAGEMENT } };
    consul = await ConsulAgent.start({ folder: path.join(folder, 'consul'), config: { acl }, token: MANAGEMENT });
    closers.push(() => consul.kill());
    for (const [name, upstreams] of Object.entries({ api: [], web: ['api'] })) await registerInCatalog(consul, name, 9_000, upstreams);
    await consul.cli('intention', 'create', 'web', 'api');
    const tokenFile = path.join(folder, 'token');
    writeFileSync(tokenFile, (await token('adsum', READ_ONLY)).SecretID);
    adsum = await Adsum.start({ folder, flags: ['--consul', consul.http, '--consul-token-file', tokenFile] });
    closers.push(() => adsum.stop());
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
  });

  /** A proxy that asks for everything; what it got, and how its stream ended. */
  const connect = (id: string, secret?: string) => {
    const client = new grpc.Client(adsum.grpc, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    closers.push(() => client.close());
    const metadata = new grpc.Metadata();
    if (secret !== undefined) metadata.set('x-consul-token', secret);
    const call = rawCall(client, ADS.delta, metadata);
    const names: string[] = [];
    call.on('data', (bytes: Buffer) => names.push(...Object.keys(readGot('delta', bytes).versions)));
    const ended = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    for (const [at, type] of (['secret', 'cluster', 'listener'] as const).entries()) {
      const request = { ...(at === 0 ? { node: nodeOf(id) } : {}), type_url: RESOURCE_TYPES[type] };
      const subscribe = type === 'secret' ? ['leaf', 'roots', 'callers'] : [];
      call.write(Buffer.from(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { ...request, resource_names_subscribe: subscribe })));
    }
    return { names, ended };
  };

  it('no token, an unknown one, one for another service: refused, and given nothing', async () => {
    const other = await token('api', 'service "api" { policy = "write" }');
    for (const [secret, words] of [
      [undefined, /presents no token: give one with service:write on web/],
      ['00000000-0000-0000-0000-00000000dead', /may not write the service web/],
      [other.SecretID, /may not write the service web/],
    ] as const) {
      const { names, ended } = connect('web-sidecar-proxy', secret);
      const status = await ended;
      expect(grpc.status[status.code]).toBe('PERMISSION_DENIED');
      expect(status.details).toMatch(words);
      expect(names).toEqual([]);
    }
  });

  it('its own token: served, leaf and all, though the token of adsum can write nothing; and ended when it is revoked', async () => {
    const own = await token('web', 'service "web" { policy = "write" }');
    const { names, ended } = connect('web-sidecar-proxy', own.SecretID);
    await eventually(() => expect(names).toEqual(expect.arrayContaining(['leaf', 'roots', 'callers'])));
    expect(names.some((name) => name.startsWith('api.default'))).toBe(true);
    await consul.cli('acl', 'token', 'delete', '-accessor-id', own.AccessorID);
    const status = await ended;
    expect(grpc.status[status.code]).toBe('PERMISSION_DENIED');
    const again = await connect('web-sidecar-proxy', own.SecretID).ended;
    expect(grpc.status[again.code]).toBe('PERMISSION_DENIED');
  });

  it('a token that may read only a part is not enough for adsum: nothing is served, and it says why', async () => {
    const part = await token('part', 'service_prefix "" { policy = "read" }\nagent_prefix "" { policy = "read" }\n');
    const own = path.join(folder, 'part');
    const other = await Adsum.launch({ folder: own, flags: ['--consul', consul.http], env: { CONSUL_HTTP_TOKEN: part.SecretID } });
    closers.push(() => other.stop());
    await eventually(async () => expect((await other.readiness()).reason).toMatch(/the token may not read all of \/\S+; see the policy in docs\/consul\.md/));
    expect((await other.readiness()).ready).toBe(false);
  });
});
