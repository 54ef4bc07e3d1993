import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Agent } from '../envoy/lab/agent.ts';
import { adsumProgram, labEnvoy, whyNoLab } from '../envoy/lab/envoy-binary.ts';
import { eventually, Hopeless } from '../envoy/lab/eventually.ts';
import { inside, Network, type NetworkHost } from '../envoy/lab/network.ts';
import { LabProcess } from '../envoy/lab/process.ts';
import type { Readiness } from './lab/adsum.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { ConsulHost } from './lab/consul-host.ts';

const reason = whyNoConsul() ?? whyNoLab();
/** How long the network is away at the least; longer when adsum needs longer to say so. */
const CUT_MS = 25_000;

/** Consul on one host; adsum, two sidecars and their applications on another. The network between them goes, and comes back. */
describe.skipIf(reason)(`a network cut between adsum and Consul${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-cut-'));
  const lines: string[] = [];
  let network: Network;
  let far: NetworkHost;
  let near: NetworkHost;
  let consul: ConsulHost;
  let app: Agent;
  let adsum: LabProcess;

  beforeAll(async () => {
    chmodSync(folder, 0o755);
    network = new Network();
    [far, near] = [network.addHost('consul'), network.addHost('mesh')];
    app = new Agent(near.namespace, 0, '127.0.0.1');
    consul = await ConsulHost.start(far, path.join(folder, 'consul'));
    for (const [at, name] of ['api', 'web'].entries()) {
      await app.listen({ kind: 'http', name, port: 9_000 + at, address: '127.0.0.1' });
      await registerSidecar(name, 9_000 + at, 21_000 + at);
    }
    intention('create');
    const serve = ['serve', '--consul', `http://${far.ipv4}:8500`, '--data-dir', path.join(folder, 'adsum')];
    adsum = new LabProcess(near.namespace, 0, [process.execPath, adsumProgram, ...serve]);
    await readiness('fresh');
    for (const [at, name] of ['api', 'web'].entries()) {
      const where = ['--sidecar-for', name, '--admin-bind', `127.0.0.1:${19_000 + at}`, '--envoy-binary', labEnvoy().binary];
      new LabProcess(near.namespace, 0, [process.execPath, adsumProgram, 'envoy', ...where, '--', '--concurrency', '1', '--drain-time-s', '2', '-l', 'error']);
    }
    await answers(true);
  });

  afterAll(() => {
    network?.remove();
    rmSync(folder, { recursive: true, force: true });
    process.stdout.write(`\n${lines.join('\n')}\n${process.env.SHOW ? adsum.output : ''}`);
  });

  const put = (where: string, body: unknown) => consul.put(where, body);
  const registerSidecar = (name: string, port: number, inbound: number) => consul.registerSidecar(name, port, inbound, name === 'web' ? { api: 5_000 } : {});
  const intention = (verb: 'create' | 'delete') => consul.cli('intention', verb, 'web', 'api');
  const admin = async <T>(where: string): Promise<T> => {
    const { body, error } = await app.http({ host: '127.0.0.1', port: 18_001, path: where });
    if (body === undefined) throw new Error(error);
    return JSON.parse(body) as T;
  };
  const readiness = (mesh: Readiness['mesh']) =>
    eventually(async () => {
      if (adsum.hasEnded) throw new Hopeless(`adsum has ended:\n${adsum.output}`);
      const now = await admin<Readiness>('/readyz');
      if (now.mesh !== mesh) throw new Error(JSON.stringify(now));
      return now;
    });
  const answers = (allowed: boolean) =>
    eventually(async () => {
      const { status, error } = await app.http({ host: '127.0.0.1', port: 5_000 });
      if ((status === 200) !== allowed) throw new Error(`${status ?? error}\n${adsum.output}`);
    });
  const services = async () => (await admin<{ services: { name: string }[] }>('/v1/mesh')).services.map(({ name }) => name);
  const since = (began: number) => `${String(Math.round(performance.now() - began)).padStart(6)} ms`;

  const cuts = {
    'the link goes down': {
      cut: () => inside(near.namespace, 'ip', 'link', 'set', 'eth0', 'down'),
      mend: () => inside(near.namespace, 'ip', 'link', 'set', 'eth0', 'up'),
    },
    'packets vanish': {
      cut: () => inside(near.namespace, 'iptables', '-A', 'INPUT', '-i', 'eth0', '-j', 'DROP'),
      mend: () => inside(near.namespace, 'iptables', '-D', 'INPUT', '-i', 'eth0', '-j', 'DROP'),
    },
  };

  it.each(Object.entries(cuts))('%s: traffic goes on, and afterwards what changed meanwhile holds', async (what, { cut, mend }) => {
    await answers(true);
    await registerSidecar('old', 9_100, 21_100);
    await eventually(async () => expect(await services()).toContain('old'));
    const traffic = await app.startTraffic('http', { host: '127.0.0.1', port: 5_000, pauseMs: 20 });
    const began = performance.now();
    cut();
    intention('delete');
    await put('/v1/catalog/deregister', { Node: 'near', ServiceID: 'old' });
    await put('/v1/catalog/deregister', { Node: 'near', ServiceID: 'old-sidecar-proxy' });
    const fresh = what.replaceAll(' ', '-');
    await registerSidecar(fresh, 9_200, 21_200);
    const { reason: why } = await readiness('stale');
    lines.push(`${what}: to readyz saying stale ${since(began)}, "${why}"`);
    expect(why).toMatch(/^Consul is away: no Consul answers at /);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, CUT_MS - (performance.now() - began))));
    const { count, failures } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(count).toBeGreaterThan(100);
    expect(await services()).toContain('old');
    lines.push(`${what}: cut for ${since(began)}, ${count} requests, ${failures.length} failed`);

    const mended = performance.now();
    mend();
    await answers(false);
    lines.push(`${what}: mended to the deleted intention obeyed ${since(mended)}`);
    await readiness('fresh');
    lines.push(`${what}: mended to readyz saying fresh ${since(mended)}`);
    const after = await services();
    expect(after).toContain(fresh);
    expect(after).not.toContain('old');

    intention('create');
    const created = performance.now();
    await answers(true);
    lines.push(`${what}: the next change ${since(created)}`);
  });
});
