import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoLab } from '../envoy/lab/envoy-binary.ts';
import { eventually } from '../envoy/lab/eventually.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import type { LocalEnvoy } from './lab/local-envoy.ts';
import { ask, type Member, registerInCatalog, sidecarOnAdsum, startApplication } from './lab/shop.ts';

/** Consul dies, comes back, comes back as it was earlier; adsum is restarted meanwhile. Traffic goes on, and nothing stale survives. */
const reason = whyNoConsul() ?? whyNoLab();

describe.skipIf(reason)(`Consul away${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-outage-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const lines: string[] = [];
  let consul: ConsulAgent;
  let adsum: Adsum;
  let web: Member;
  const traffic = { asked: 0, failed: [] as string[], counted: true, going: true };
  let requests: Promise<void>;

  beforeAll(async () => {
    consul = await ConsulAgent.start({ folder: path.join(folder, 'consul') });
    closers.push(() => consul.kill());
    adsum = await Adsum.start({ folder, flags: ['--consul', consul.http, ...(process.env.SHOW ? ['--log-level', 'debug'] : [])] });
    closers.push(() => adsum.stop());
    const envoys: LocalEnvoy[] = [];
    for (const [name, upstreams] of Object.entries({ api: [], web: ['api'] })) {
      const application = await startApplication(name);
      closers.push(() => application.close());
      web = await registerInCatalog(consul, name, application.port, upstreams);
      const envoy = await sidecarOnAdsum(adsum, folder, name);
      closers.push(() => envoy.stop());
      envoys.push(envoy);
    }
    await consul.cli('intention', 'create', 'web', 'api');
    for (const envoy of envoys) await envoy.ready();
    await answers('api');
    requests = (async () => {
      while (traffic.going) {
        const answer = await askApi();
        traffic.asked += 1;
        if (traffic.counted && answer !== 'api') traffic.failed.push(answer);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    closers.push(async () => {
      traffic.going = false;
      await requests;
    });
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
    process.stdout.write(`\n${lines.join('\n')}\n${process.env.SHOW ? adsum.output : ''}`);
  });

  const askApi = () => ask(web.upstreams.api ?? 0);
  const answers = (wanted: string) =>
    eventually(async () => {
      const answer = await askApi();
      if ((answer === 'api') !== (wanted === 'api')) throw new Error(answer);
    });
  const timed = async (what: string, work: Promise<unknown>) => {
    const began = performance.now();
    await work;
    lines.push(`${what.padEnd(58)} ${Math.round(performance.now() - began)} ms`);
  };

  it('a dead Consul changes nothing but what adsum says of itself', async () => {
    await consul.kill();
    await timed('killed Consul to readyz saying stale', adsum.ready('stale'));
    expect((await adsum.readiness()).reason).toMatch(/Consul is away: no Consul answers at http/);
    expect(await adsum.metric('adsum_mesh_stale')).toBe(1);
    expect(adsum.output).toContain('Consul is away; what it said last is served');
  });

  it('adsum restarted while Consul is dead serves the copy, with the leaves it had', async () => {
    await adsum.restart();
    await timed('restart of adsum without Consul to serving the copy', adsum.ready('stale'));
    const envoyConnected = async () => {
      const { proxies } = await adsum.get<{ proxies: { id: string; state: string }[] }>('/v1/proxies');
      if (proxies.some(({ state }) => state !== 'connected')) throw new Error(JSON.stringify(proxies));
    };
    await eventually(envoyConnected);
    expect(await adsum.metric('adsum_mesh_stale')).toBe(1);
  });

  it('Consul comes back: fresh again, and changes arrive', async () => {
    await consul.start();
    await timed('Consul up again to readyz saying fresh', adsum.ready('fresh'));
    expect(traffic.failed).toEqual([]);
    traffic.counted = false;
    await consul.cli('intention', 'delete', 'web', 'api');
    await answers('nothing');
    await consul.cli('intention', 'create', 'web', 'api');
    await answers('api');
    traffic.counted = true;
  });

  it('a restored snapshot: the index goes back, and so does what is served', async () => {
    const file = path.join(folder, 'backup.snap');
    await consul.cli('snapshot', 'save', file);
    traffic.counted = false;
    await consul.cli('intention', 'delete', 'web', 'api');
    await answers('nothing');
    for (let write = 0; write < 20; write += 1) await consul.put(`/v1/kv/filler/${write}`, { write });
    await consul.cli('snapshot', 'restore', file);
    await timed('restored snapshot to the intention being back', answers('api'));
    traffic.counted = true;
    await adsum.ready('fresh');
  });

  it('traffic never failed while nothing forbade it', () => {
    lines.push(`requests: ${traffic.asked}, failed while allowed: ${traffic.failed.length}`);
    expect(traffic.failed).toEqual([]);
  });
});
