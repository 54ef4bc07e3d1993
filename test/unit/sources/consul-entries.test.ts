import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfigEntry } from '../../../src/mesh/schema/parse-config-entry.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';

const folder = path.resolve(import.meta.dirname, '../../../../shared/conformance/scenarios');
const scenarios = existsSync(folder) ? readdirSync(folder).filter((name) => existsSync(path.join(folder, name, 'consul-http'))) : [];

function bodyOf(scenario: string, file: string): unknown[] {
  const { body } = JSON.parse(readFileSync(path.join(folder, scenario, 'consul-http', file), 'utf8')) as { body: unknown };
  return Array.isArray(body) ? body : [];
}

describe.skipIf(scenarios.length === 0)('what a Consul says over HTTP of the same mesh', () => {
  test.each(scenarios)('its config entries are the same: %s', (scenario) => {
    const files = readdirSync(path.join(folder, scenario, 'consul-http')).filter((file) => file.startsWith('config_'));
    const parsed = files.flatMap((file) => bodyOf(scenario, file)).map((entry) => parseConfigEntry(entry));
    expect(parsed.flatMap(({ defects }) => defects)).toEqual([]);
    const text = readFileSync(path.join(folder, scenario, 'mesh.json'), 'utf8');
    const written = [...(parseMeshFiles([{ path: 'mesh.json', text }]).mesh?.configEntries ?? [])];
    const key = ({ kind, name }: { kind: string; name: string }) => `${kind}/${name}`;
    expect(parsed.flatMap(({ value }) => (value ? [key(value)] : [])).sort()).toEqual(written.map(key).sort());
  });

  test.each(scenarios)('its sidecars are the same: %s', (scenario) => {
    const files = readdirSync(path.join(folder, scenario, 'consul-http')).filter((file) => /^catalog_service_.*-sidecar-proxy/.test(file));
    const registered = files.flatMap((file) => bodyOf(scenario, file)) as Record<string, unknown>[];
    const text = readFileSync(path.join(folder, scenario, 'mesh.json'), 'utf8');
    const instances = parseMeshFiles([{ path: 'mesh.json', text }]).mesh?.instances.filter(({ kind }) => kind === 'connect-proxy') ?? [];
    expect(
      instances
        .map((one) => ({
          Node: one.node,
          ServiceID: one.id,
          ServiceName: one.service,
          ServicePort: one.port,
          ServiceAddress: one.address,
          ServiceMeta: one.meta,
          ServiceTags: one.tags,
          ServiceWeights: { Passing: one.weights.passing, Warning: one.weights.warning },
          ServiceProxy: expect.objectContaining({
            DestinationServiceID: one.proxy?.destination_service_id,
            DestinationServiceName: one.proxy?.destination_service_name,
            LocalServiceAddress: one.proxy?.local_service_address,
            LocalServicePort: one.proxy?.local_service_port,
          }) as unknown,
        }))
        .sort((a, b) => a.ServiceID.localeCompare(b.ServiceID)),
    ).toEqual(
      registered
        .map(({ Node, ServiceID, ServiceName, ServicePort, ServiceAddress, ServiceMeta, ServiceTags, ServiceWeights, ServiceProxy }) => ({
          Node,
          ServiceID: String(ServiceID),
          ServiceName,
          ServicePort,
          ServiceAddress,
          ServiceMeta,
          ServiceTags,
          ServiceWeights,
          ServiceProxy,
        }))
        .sort((a, b) => a.ServiceID.localeCompare(b.ServiceID)),
    );
  });
});
