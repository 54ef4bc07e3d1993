import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eventually } from '../envoy/lab/eventually.ts';
import { Adsum } from './lab/adsum.ts';
import { ConsulAgent } from './lab/consul-agent.ts';
import { whyNoConsul } from './lab/consul-binary.ts';
import { loadMesh } from './lab/load-mesh.ts';

/**
 * A mesh in a live Consul and the same mesh in a file give every proxy the same configuration. What Consul itself serves for these
 * meshes is compared by test/conformance. `ONLY=regex` chooses scenarios, `ONLY=.` takes all.
 */
const SCENARIOS = new URL('../../../shared/conformance/scenarios/', import.meta.url).pathname;
const USUAL = '^(001|003|015|022|024|033|035|040|055|060|063|076|086|096)';
/** Consul's catalog does not know how a check is made; see docs/consul.md. */
const UNLIKE = /^109/;
const reason = whyNoConsul() ?? (existsSync(SCENARIOS) ? undefined : 'the recorded scenarios are not at hand');
const names = reason ? [] : readdirSync(SCENARIOS).filter((name) => new RegExp(process.env.ONLY ?? USUAL).test(name) && !UNLIKE.test(name));

describe.skipIf(reason)(`a live Consul and a mesh file${reason ? ` (${reason})` : ''}`, () => {
  it.each(names)('%s', async (name) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'adsum-equal-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(SCENARIOS, name, 'mesh.json');
    const raw = JSON.parse(readFileSync(file, 'utf8')) as { datacenter?: string; default_intention_policy?: string };
    const { datacenter = 'dc1', default_intention_policy = 'deny' } = raw;
    const consul = await ConsulAgent.start({ folder: path.join(folder, 'consul'), config: { datacenter, default_intention_policy } });
    onTestFinished(() => consul.kill());
    const mesh = await loadMesh(consul, file);
    const live = await Adsum.start({ folder: path.join(folder, 'live'), flags: ['--consul', consul.http] });
    onTestFinished(() => live.stop());

    // Which name gets which address depends on the order of writing: the file is given those of this Consul.
    const virtualIps = await eventually(() => consulsVirtualIps(live));
    writeFileSync(path.join(folder, 'mesh.json'), JSON.stringify({ ...raw, virtual_ips: virtualIps }));
    const fromFile = await Adsum.start({ folder: path.join(folder, 'file'), flags: ['--mesh', path.join(folder, 'mesh.json')] });
    onTestFinished(() => fromFile.stop());

    const proxies = mesh.instances.filter(({ kind }) => kind === 'connect-proxy');
    expect(proxies.length).toBeGreaterThan(0);
    for (const { id, node } of proxies) expect(await configuration(live, id, node)).toEqual(await configuration(fromFile, id, node));
  });
});

async function consulsVirtualIps(adsum: Adsum): Promise<Record<string, string>> {
  const { services } = await adsum.get<{ services: { name: string; virtual_ips: string[] }[] }>('/v1/mesh');
  return Object.fromEntries(
    services.flatMap(({ name, virtual_ips }) => virtual_ips.filter((address) => address.startsWith('240.')).map((address) => [name, address])),
  );
}

/** Without what differs between any two CAs. */
async function configuration(adsum: Adsum, id: string, node: string): Promise<unknown> {
  const { trust_domain } = await adsum.get<{ trust_domain: string }>('/v1/mesh');
  const text = JSON.stringify(await adsum.get(`/v1/proxies/${id}/config?node=${node}`))
    .replaceAll(trust_domain, 'TRUST-DOMAIN')
    .replaceAll(trust_domain.replaceAll('.', '\\\\.'), 'TRUST-DOMAIN')
    .replace(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(\\n)*/g, 'ROOT');
  return JSON.parse(text);
}
