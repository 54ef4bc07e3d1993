import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../envoy/lab/eventually.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { fill } from './lab/fill.ts';

const reason = whyNoConsul();
const SERVICES = Number(process.env.SERVICES ?? 1_000);
const INSTANCES = 5;

/** What a large Consul costs. Nothing here is asserted by time: the figures are printed. */
describe.skipIf(reason)(`${SERVICES} services with ${INSTANCES} instances each${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-scale-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const lines: string[] = [];
  let consul: ConsulAgent;
  let adsum: Adsum;

  beforeAll(async () => {
    consul = await ConsulAgent.start({ folder: path.join(folder, 'consul') });
    closers.push(() => consul.kill());
    await fill(consul, { services: SERVICES, instances: INSTANCES });
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
    process.stdout.write(`\n${lines.join('\n')}\n`);
  });

  const note = (what: string, figure: string) => lines.push(`${what.padEnd(52)} ${figure}`);
  const instances = async () => {
    const mesh = await adsum.get<{ services: { name: string; virtual_ips: string[]; instances: { port: number; health: string }[] }[] }>('/v1/mesh');
    return mesh.services;
  };

  it('is read whole, over few connections', async () => {
    const began = performance.now();
    adsum = await Adsum.start({ folder, flags: ['--consul', consul.http] });
    closers.push(() => adsum.stop());
    note('start to serving', `${Math.round(performance.now() - began)} ms`);
    const services = await instances();
    expect(services).toHaveLength(SERVICES);
    expect(services.flatMap((service) => service.instances)).toHaveLength(SERVICES * INSTANCES);
    expect(new Set(services.flatMap(({ virtual_ips }) => virtual_ips)).size).toBe(SERVICES);
    const open = connectionsTo(adsum.pid, Number(new URL(consul.http).port));
    note('connections to Consul', `${open}`);
    expect(open).toBeLessThan(30);
  });

  it('changes cost what they are', async () => {
    const seen = async (what: string, change: () => Promise<unknown>, holds: (service: Awaited<ReturnType<typeof instances>>[number]) => boolean) => {
      const cpu = [cpuMs(adsum.pid), cpuMs(consul.pid)];
      await change();
      const began = performance.now();
      await eventually(
        async () => {
          const found = (await instances()).find(({ name }) => name === 's7');
          if (!found || !holds(found)) throw new Error(`${what}: ${JSON.stringify(found)}`);
        },
        { everyMs: 100 },
      );
      note(
        what,
        `${Math.round(performance.now() - began)} ms; CPU adsum ${cpuMs(adsum.pid) - (cpu[0] ?? 0)} ms (with asking it), Consul ${cpuMs(consul.pid) - (cpu[1] ?? 0)} ms`,
      );
    };
    const node = { Node: 'n7', Address: '10.0.0.7', SkipNodeUpdate: true };
    const check = (Status: string) => ({ ...node, Check: { Node: 'n7', CheckID: 'c-s7', Name: 'http', ServiceID: 's7', Status } });
    await seen(
      'a check turns critical',
      () => consul.put('/v1/catalog/register', check('critical')),
      (service) => service.instances.some(({ health }) => health === 'critical'),
    );
    await seen(
      'and passing again',
      () => consul.put('/v1/catalog/register', check('passing')),
      (service) => service.instances.every(({ health }) => health === 'passing'),
    );
    await seen(
      'an instance gets another port',
      () => consul.put('/v1/catalog/register', { ...node, Service: { ID: 's7', Service: 's7', Port: 9_999 } }),
      (service) => service.instances.some(({ port }) => port === 9_999),
    );
  });

  it('rests when nothing changes', async () => {
    const cpu = [cpuMs(adsum.pid), cpuMs(consul.pid)];
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const share = (pid: number, before: number | undefined) => `${(((cpuMs(pid) - (before ?? 0)) / (performance.now() - began)) * 100).toFixed(1)} %`;
    note('CPU while nothing changes', `adsum ${share(adsum.pid, cpu[0])}, Consul ${share(consul.pid, cpu[1])}`);
    note('memory', `adsum ${residentMb(adsum.pid)} MB, Consul ${residentMb(consul.pid)} MB`);
  });
});

/** User and system time so far. A tick is 10 ms on every Linux that runs this. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function residentMb(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

/** Established connections of one process's network namespace to a port of loopback, counted at the client's end. */
function connectionsTo(pid: number, port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return rows.filter(([, , remote, state]) => remote?.endsWith(wanted) && state === '01').length;
}
