import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RESOURCE_TYPES, type ResourceType } from '../../src/cache/resource.ts';
import { encode } from '../../src/proto/codec.ts';
import { whyNoLab } from '../envoy/lab/envoy-binary.ts';
import { eventually } from '../envoy/lab/eventually.ts';
import { ADS, nodeOf, rawCall, readGot } from '../protocol/grpc-wire.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { ask, type Member, registerInCatalog, sidecarOnAdsum, startApplication } from './lab/shop.ts';

/** Three servers that lose their leader, a server that falls silent, and two adsums in front of the same cluster. */
const reason = whyNoConsul() ?? whyNoLab();

describe.skipIf(reason)(`a cluster of Consul servers${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-cluster-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const lines: string[] = [];
  const failed: string[] = [];
  let servers: ConsulAgent[];
  let adsum: Adsum;
  let replica: Adsum;
  let web: Member;
  let counted = true;

  beforeAll(async () => {
    servers = await ConsulAgent.startCluster(folder, 3);
    for (const server of servers) closers.push(() => server.kill());
    adsum = await Adsum.start({ folder: path.join(folder, 'a'), flags: ['--consul', serverOf(0).http] });
    replica = await Adsum.start({ folder: path.join(folder, 'b'), flags: ['--consul', serverOf(1).http] });
    closers.push(() => adsum.stop());
    closers.push(() => replica.stop());
    for (const [name, upstreams] of Object.entries({ api: [], web: ['api'] })) {
      const application = await startApplication(name);
      closers.push(() => application.close());
      web = await registerInCatalog(serverOf(0), name, application.port, upstreams);
      const envoy = await sidecarOnAdsum(adsum, folder, name);
      closers.push(() => envoy.stop());
    }
    await serverOf(0).cli('intention', 'create', 'web', 'api');
    await answers(true);
    let going = true;
    const requests = (async () => {
      while (going) {
        const answer = await ask(web.upstreams.api ?? 0);
        if (counted && answer !== 'api') failed.push(answer);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    closers.push(async () => {
      going = false;
      await requests;
    });
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
    process.stdout.write(`\n${lines.join('\n')}\n`);
  });

  const serverOf = (at: number) => {
    const server = servers[at];
    if (!server) throw new Error(`no server ${at}`);
    return server;
  };
  const answers = (allowed: boolean) =>
    eventually(async () => {
      const answer = await ask(web.upstreams.api ?? 0);
      if ((answer === 'api') !== allowed) throw new Error(answer);
    });

  it('a sidecar that moves from one adsum to another receives nothing it has already, apart from its leaf', async () => {
    await replica.ready('fresh');
    await eventually(async () => {
      const [one, other] = [await adsum.get('/v1/mesh'), await replica.get('/v1/mesh')];
      expect(other).toEqual(one);
    });
    const first = await take(adsum.grpc, {});
    expect(Object.keys(first)).toEqual(expect.arrayContaining(['cluster', 'listener', 'secret']));
    const second = await take(replica.grpc, first);
    expect(Object.values(second).flatMap((versions) => Object.keys(versions))).toEqual(['leaf']);
  });

  it('the leader dies: traffic goes on, and changes arrive as soon as there is another', async () => {
    const leader = await serverOf(0).get<string>('/v1/status/leader');
    const victim = servers.find(({ server }) => server === leader);
    if (!victim) throw new Error(`nobody is ${leader}`);
    // adsum's own server has to live for its half of the test; if that is the leader, the other adsum is looked at
    const looked = victim === serverOf(0) ? replica : adsum;
    const survivor = victim === serverOf(0) ? serverOf(1) : serverOf(0);
    await victim.kill();
    const began = performance.now();
    await eventually(async () => survivor.cli('intention', 'create', 'marker', 'api'), { everyMs: 200 });
    lines.push(`leader killed to the next write                 ${Math.round(performance.now() - began)} ms`);
    const written = performance.now();
    await eventually(async () => {
      const { verdict } = await looked.get<{ verdict: string }>('/v1/intentions/check?source=marker&destination=api');
      expect(verdict).toBe('allow');
    });
    lines.push(`that write to adsum knowing it                  ${Math.round(performance.now() - written)} ms`);
    await looked.ready('fresh');
    await victim.start();
    await eventually(() => serverOf(0).cli('intention', 'create', 'second-marker', 'api'), { everyMs: 200 });
    for (const each of [adsum, replica]) {
      await eventually(async () => {
        const { verdict } = await each.get<{ verdict: string }>('/v1/intentions/check?source=second-marker&destination=api');
        expect(verdict).toBe('allow');
        expect((await each.readiness()).mesh).toBe('fresh');
      });
    }
    expect(failed).toEqual([]);
  });

  it('a server that falls silent, as behind a cut cable: noticed within a minute, and nothing stale survives', async () => {
    serverOf(0).signal('SIGSTOP');
    const began = performance.now();
    try {
      counted = false;
      await eventually(() => serverOf(2).cli('intention', 'delete', 'web', 'api'), { everyMs: 200 });
      counted = true;
      await adsum.ready('stale');
      lines.push(`silent server to readyz saying stale             ${Math.round(performance.now() - began)} ms`);
      // what adsum was told last still holds
      expect(await ask(web.upstreams.api ?? 0)).toBe('api');
      await replica.ready('fresh');
      counted = false;
    } finally {
      serverOf(0).signal('SIGCONT');
    }
    const back = performance.now();
    await answers(false);
    lines.push(`speaking again to the deleted intention obeyed   ${Math.round(performance.now() - back)} ms`);
    await adsum.ready('fresh');
  });
});

/** Connects as `web`'s sidecar that has these versions, and gives what it is sent until nothing more comes. */
async function take(
  address: string,
  known: Partial<Record<ResourceType, Readonly<Record<string, string>>>>,
): Promise<Partial<Record<ResourceType, Record<string, string>>>> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const call = rawCall(client, ADS.delta);
  const got: Partial<Record<ResourceType, Record<string, string>>> = {};
  let last = performance.now();
  const send = (request: object) => call.write(Buffer.from(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request as never)));
  call.on('data', (bytes: Buffer) => {
    last = performance.now();
    const { type, nonce, versions } = readGot('delta', bytes);
    got[type] = { ...got[type], ...versions };
    send({ type_url: RESOURCE_TYPES[type], response_nonce: nonce });
  });
  for (const [at, type] of (['secret', 'cluster', 'endpoint', 'listener'] as const).entries()) {
    const names = type === 'secret' ? ['leaf', 'roots', 'callers'] : type === 'endpoint' ? Object.keys(known.endpoint ?? {}) : [];
    send({
      ...(at === 0 ? { node: nodeOf('web-sidecar-proxy') } : {}),
      type_url: RESOURCE_TYPES[type],
      resource_names_subscribe: names,
      initial_resource_versions: known[type] ?? {},
    });
  }
  await eventually(() => {
    if (performance.now() - last < 1_500) throw new Error('more may come');
  });
  client.close();
  return got;
}
