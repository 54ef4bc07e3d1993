import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoLab } from '../envoy/lab/envoy-binary.ts';
import { eventually } from '../envoy/lab/eventually.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import type { LocalEnvoy } from './lab/local-envoy.ts';
import { ask, type Member, register, sidecarOnAdsum, sidecarOnConsul, startApplication } from './lab/shop.ts';

/**
 * One Consul, two control planes: the sidecars of `web` and `api` are served by adsum, those of `webc` and `apic` by Consul itself.
 * web calls apic, webc calls api, so that every connection has one of each at its ends. The `consul` command drives it.
 */
const reason = whyNoConsul() ?? whyNoLab();

describe.skipIf(reason)(`sidecars of adsum and of Consul side by side${reason ? ` (${reason})` : ''}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-consul-'));
  const closers: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const lines: string[] = [];
  const envoys = new Map<string, LocalEnvoy>();
  const members = new Map<string, Member>();
  let consul: ConsulAgent;
  let adsum: Adsum;

  beforeAll(async () => {
    consul = await ConsulAgent.start({ folder: path.join(folder, 'consul') });
    closers.push(() => consul.kill());
    adsum = await Adsum.start({ folder, flags: ['--consul', consul.http] });
    closers.push(() => adsum.stop());
    const calls = { api: [], apic: [], web: ['apic'], webc: ['api'] };
    for (const [name, upstreams] of Object.entries(calls)) {
      const application = await startApplication(name);
      closers.push(() => application.close());
      members.set(name, await register(consul, folder, name, application.port, upstreams));
    }
    for (const name of ['api', 'web']) envoys.set(name, await sidecarOnAdsum(adsum, folder, name));
    for (const name of ['apic', 'webc']) envoys.set(name, await sidecarOnConsul(consul, folder, name));
    for (const envoy of envoys.values()) {
      closers.push(() => envoy.stop());
      await envoy.ready();
    }
  });

  afterAll(async () => {
    for (const closer of closers.reverse()) await closer();
    process.stdout.write(`\nfrom the command's end to the first request that shows it, ms (adsum | Consul's own)\n${lines.join('\n')}\n`);
  });

  /** The callee is what an intention is about: webc → api is enforced by adsum's sidecar, web → apic by Consul's. */
  const askThrough = (caller: 'web' | 'webc') => ask(members.get(caller)?.upstreams[caller === 'web' ? 'apic' : 'api'] ?? 0);
  const until = async (caller: 'web' | 'webc', holds: (answer: string) => boolean) => {
    const began = performance.now();
    await eventually(
      async () => {
        const answer = await askThrough(caller);
        if (!holds(answer)) throw new Error(`${caller} got ${answer}`);
      },
      { everyMs: 5 },
    );
    return Math.round(performance.now() - began);
  };
  /** Both control planes are given the same command for their own pair, one after the other. */
  const both = async (
    what: string,
    shownBy: 'caller' | 'callee',
    command: (pair: { caller: 'web' | 'webc'; callee: 'api' | 'apic' }) => Promise<unknown>,
    holds: (answer: string, callee: string) => boolean,
  ) => {
    const times: number[] = [];
    for (const pair of [{ caller: 'webc', callee: 'api' } as const, { caller: 'web', callee: 'apic' } as const]) {
      await command(pair);
      times.push(await until(pair.caller, (answer) => holds(answer, pair.callee)));
    }
    // the callee of the first pair is adsum's, and the caller of the second
    const byControlPlane = shownBy === 'callee' ? times : times.toReversed();
    lines.push(`${what.padEnd(40)} ${byControlPlane.map((time) => String(time).padStart(6)).join(' |')}`);
  };
  const passes = (answer: string, callee: string) => answer === callee;
  const fails = (answer: string, callee: string) => answer !== callee;

  it('default deny holds, whoever serves', async () => {
    expect(await askThrough('web')).not.toBe('apic');
    expect(await askThrough('webc')).not.toBe('api');
  });

  it('an intention opens and closes the way in both directions', async () => {
    await both('intention create', 'callee', ({ caller, callee }) => consul.cli('intention', 'create', caller, callee), passes);
    await both('intention delete', 'callee', ({ caller, callee }) => consul.cli('intention', 'delete', caller, callee), fails);
    await both('intention create, again', 'callee', ({ caller, callee }) => consul.cli('intention', 'create', caller, callee), passes);
  });

  it('a failing TTL check takes the only instance away, a passing one brings it back', async () => {
    await both('check to critical', 'caller', ({ callee }) => consul.put(`/v1/agent/check/fail/${callee}-ttl`, undefined), fails);
    await both('check to passing', 'caller', ({ callee }) => consul.put(`/v1/agent/check/pass/${callee}-ttl`, undefined), passes);
  });

  it('config write and delete reach a real Envoy', async () => {
    const redirect = (name: string) => `Kind = "service-resolver"\nName = "${name}"\nRedirect { Service = "nowhere" }\n`;
    const write = async (name: string) => {
      const file = path.join(folder, 'entry.hcl');
      writeFileSync(file, redirect(name));
      await consul.cli('config', 'write', file);
    };
    await both('config write (redirect to nowhere)', 'caller', ({ callee }) => write(callee), fails);
    await both('config delete', 'caller', ({ callee }) => consul.cli('config', 'delete', '-kind', 'service-resolver', '-name', callee), passes);
  });

  it('a service deregistered and registered again', async () => {
    const again = async (name: string) => {
      await consul.cli('services', 'register', path.join(folder, `${name}.json`));
    };
    await both('services deregister', 'caller', ({ callee }) => consul.cli('services', 'deregister', path.join(folder, `${callee}.json`)), fails);
    await both('services register', 'caller', ({ callee }) => again(callee), passes);
  });

  it('a new root of the CA reaches every sidecar while requests pass, and drains nothing of adsum', async () => {
    const api = envoys.get('api');
    const web = envoys.get('web');
    if (!api || !web) throw new Error('no sidecars');
    const counters = async () => [await api.stat('listener_manager.listener_modified'), await web.stat('cluster_manager.cluster_modified')];
    const before = await counters();
    const roots = async () => (await consul.get<{ ActiveRootID: string; Roots: { ID: string }[] }>('/v1/connect/ca/roots')).ActiveRootID;
    const old = await roots();
    let [asked, failed] = [0, 0];
    let going = true;
    const requests = (async () => {
      while (going) {
        for (const caller of ['web', 'webc'] as const) {
          asked += 1;
          if ((await askThrough(caller)) !== (caller === 'web' ? 'apic' : 'api')) failed += 1;
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    const serialsOf = async (envoy: LocalEnvoy) => {
      const certs = JSON.parse(await envoy.get('/certs')) as { certificates: { cert_chain: { serial_number: string }[] }[] };
      return certs.certificates.flatMap(({ cert_chain }) => cert_chain.map(({ serial_number }) => serial_number));
    };
    const leaves = new Map(await Promise.all([...envoys].map(async ([name, envoy]) => [name, await serialsOf(envoy)] as const)));
    /** Envoy also lists certificates of what it drains: a new one beside them is what counts. */
    const renewed = (...names: string[]) =>
      eventually(
        async () => {
          for (const name of names) {
            const envoy = envoys.get(name);
            const serials = envoy ? await serialsOf(envoy) : [];
            if (serials.every((serial) => leaves.get(name)?.includes(serial))) throw new Error(`${name} still has its old leaf`);
          }
        },
        { everyMs: 50 },
      );
    const file = path.join(folder, 'ca.json');
    writeFileSync(file, JSON.stringify({ Provider: 'consul', Config: { LeafCertTTL: '72h', PrivateKeyType: 'ec', PrivateKeyBits: 384 } }));
    await consul.cli('connect', 'ca', 'set-config', '-config-file', file);
    expect(await roots()).not.toBe(old);
    const began = performance.now();
    const timed = async (what: string, ...names: string[]) => {
      await renewed(...names);
      lines.push(`${what.padEnd(40)} ${Math.round(performance.now() - began)}`);
    };
    await Promise.all([timed("new leaves at adsum's sidecars", 'api', 'web'), timed("new leaves at Consul's own", 'apic', 'webc')]);
    going = false;
    await requests;
    lines.push(`requests during the rotation: ${asked}, failed: ${failed}`);
    expect(failed).toBe(0);
    expect(await counters()).toEqual(before);
  });
});
