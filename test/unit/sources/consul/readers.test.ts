import { describe, expect, it } from 'vitest';
import { CatalogReader } from '../../../../src/sources/consul/catalog-reader.ts';
import { ConfigEntryReader } from '../../../../src/sources/consul/config-entry-reader.ts';
import { ConsulMeshBuilder } from '../../../../src/sources/consul/consul-mesh-builder.ts';
import { parseCluster } from '../../../../src/sources/consul/consul-readings.ts';
import { virtualIpHolders } from '../../../../src/sources/consul/virtual-ip-holders.ts';

const api = { ID: 'api', Service: 'api', Port: 9_090, Tags: null, Meta: null, CreateIndex: 10, ModifyIndex: 10 };
const sidecar = {
  Kind: 'connect-proxy',
  ID: 'api-sidecar-proxy',
  Service: 'api-sidecar-proxy',
  Port: 21_000,
  Proxy: { DestinationServiceName: 'api', DestinationServiceID: 'api', LocalServicePort: 9_090, Mode: 'transparent', MeshGateway: {}, Expose: {} },
  CreateIndex: 11,
  ModifyIndex: 12,
};
const node = (services: readonly object[]) => ({ Node: 'vm', Address: '10.0.0.2', Services: services });
const failing = (ServiceID: string, Status: string) => ({ Node: 'vm', CheckID: 'c', ServiceID, Status });

describe('the catalog', () => {
  it('becomes instances in the order of writing; Consul itself and what cannot be understood are left out', () => {
    const consul = { ID: 'consul', Service: 'consul', CreateIndex: 1, ModifyIndex: 1 };
    const { instances, problems } = new CatalogReader().read([node([sidecar, consul, api, { ID: 5 }, { ...api, ID: 'x', Kind: 'newer-kind' }])], []);
    expect(instances.map(({ id }) => id)).toEqual(['api', 'api-sidecar-proxy']);
    expect(problems).toMatchObject([{ code: 'unreadable-service', place: { object: 'service 5 on vm' } }]);
    expect(instances[1]?.proxy).toMatchObject({
      destination_service_name: 'api',
      local_service_address: '127.0.0.1',
      local_service_port: 9_090,
      mode: 'transparent',
    });
  });

  it('keeps the objects of what has not changed', () => {
    const reader = new CatalogReader();
    const before = reader.read([node([api, sidecar])], []).instances;
    const after = reader.read([structuredClone(node([api, { ...sidecar, Port: 21_001 }]))], []).instances;
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it('trusts the content and not the index: a restored snapshot may reuse one', () => {
    const reader = new CatalogReader();
    reader.read([node([api])], []);
    expect(reader.read([node([{ ...api, Port: 1 }])], []).instances[0]?.port).toBe(1);
  });

  it('is as healthy as the worst check of the instance and its node', () => {
    const reader = new CatalogReader();
    const health = (...checks: Parameters<CatalogReader['read']>[1]) => reader.read([node([api, sidecar])], checks).instances.map((one) => one.health);
    expect(health()).toEqual(['passing', 'passing']);
    expect(health(failing('api', 'warning'))).toEqual(['warning', 'passing']);
    expect(health(failing('api', 'warning'), failing('', 'critical'))).toEqual(['critical', 'critical']);
    expect(health(failing('api', 'critical'), failing('api', 'warning'), failing('', 'warning'))).toEqual(['critical', 'warning']);
    expect(health({ ...failing('', 'critical'), Node: 'other' })).toEqual(['passing', 'passing']);
  });
});

describe('config entries', () => {
  const intentions = (Sources: object[], more = {}) => ({ Kind: 'service-intentions', Name: 'api', Sources, CreateIndex: 5, ModifyIndex: 6, ...more });

  it('may hold keys of a newer Consul: left out, with a warning', () => {
    const { entries, problems } = new ConfigEntryReader().read([{ Kind: 'service-defaults', Name: 'api', Protocol: 'http', Novelty: { A: 1 } }]);
    expect(entries).toMatchObject([{ kind: 'service-defaults', protocol: 'http' }]);
    expect(problems).toMatchObject([{ code: 'unknown-key', severity: 'warning', place: { object: 'service-defaults/api' } }]);
  });

  it.each([
    ['an unknown condition', intentions([{ Name: 'web', Permissions: [{ Action: 'allow', HTTP: { PathPrefix: '/', OnlyOnSundays: true } }] }])],
    ['an unknown action', intentions([{ Name: 'web', Action: 'perhaps' }])],
  ])('intentions with %s deny everybody: read in part they might allow too much', (_, entry) => {
    const { entries, problems } = new ConfigEntryReader().read([entry]);
    expect(entries).toMatchObject([{ kind: 'service-intentions', name: 'api', sources: [{ name: '*', action: 'deny' }] }]);
    expect(problems).toMatchObject([{ severity: 'error' }]);
  });

  it('that can no longer be read keep their last form', () => {
    const reader = new ConfigEntryReader();
    reader.read([{ Kind: 'service-resolver', Name: 'api', ConnectTimeout: '3s' }]);
    const { entries, problems } = reader.read([{ Kind: 'service-resolver', Name: 'api', ConnectTimeout: 'soon' }]);
    expect(entries).toMatchObject([{ connect_timeout: 3_000 }]);
    expect(problems).toMatchObject([{ code: 'invalid-duration', severity: 'error' }]);
  });

  it('the mesh entry has no name in Consul and ours in the mesh', () => {
    expect(new ConfigEntryReader().read([{ Kind: 'mesh', TransparentProxy: { MeshDestinationsOnly: true } }]).entries).toMatchObject([
      { kind: 'mesh', name: 'mesh' },
    ]);
  });
});

describe('virtual IPs', () => {
  it('are held by sidecars, native services, entries and what terminating gateways stand for', () => {
    const native = { ...api, ID: 'n', Service: 'native', Connect: { Native: true }, CreateIndex: 20 };
    const gateway = { Kind: 'terminating-gateway', ID: 'tg', Service: 'tg', CreateIndex: 30, ModifyIndex: 30 };
    const catalog = new CatalogReader().read([node([api, sidecar, native, gateway])], []);
    const entries = new ConfigEntryReader().read([
      { Kind: 'service-defaults', Name: 'api', CreateIndex: 40 },
      { Kind: 'service-intentions', Name: '*', Sources: [], CreateIndex: 41 },
      { Kind: 'terminating-gateway', Name: 'tg', Services: [{ Name: 'ext' }, { Name: '*' }], CreateIndex: 42 },
    ]);
    expect(virtualIpHolders(catalog, entries)).toEqual(
      new Map([
        ['api', new Set([40, 11])],
        ['native', new Set([20])],
        ['ext', new Set([30])],
      ]),
    );
  });
});

describe('the mesh', () => {
  const cluster = { datacenter: 'dc1', defaultIntentionPolicy: 'deny', aclsEnabled: false, version: '1.22.7' } as const;
  const roots = { trustDomain: 'td.consul', roots: [] };

  it('is made again only when something in it changed', () => {
    const builder = new ConsulMeshBuilder();
    const build = (checks: Parameters<CatalogReader['read']>[1]) =>
      builder.build({
        cluster,
        roots,
        virtualIps: new Map([['api', { automatic: ['240.0.0.1'], manual: ['172.30.0.1'] }]]),
        ...builder.read([node([api, sidecar])], checks, []),
      });
    const mesh = build([]);
    expect(mesh).toMatchObject({
      trustDomain: 'td.consul',
      pinnedVirtualIps: new Map([['api', '240.0.0.1']]),
      manualVirtualIps: new Map([['api', ['172.30.0.1']]]),
    });
    expect(build([])).toBeUndefined();
    expect(build([failing('api', 'critical')])?.instances[0]?.health).toBe('critical');
  });

  it('takes the default policy from Consul, and denies where it cannot understand it', () => {
    const self = (DebugConfig: object) => parseCluster({ Config: { Datacenter: 'dc2', Version: '1' }, DebugConfig });
    expect(self({})).toMatchObject({ datacenter: 'dc2', defaultIntentionPolicy: 'allow', aclsEnabled: false });
    expect(self({ DefaultIntentionPolicy: 'deny' })).toMatchObject({ defaultIntentionPolicy: 'deny' });
    expect(self({ ACLsEnabled: true, ACLResolverSettings: { ACLDefaultPolicy: 'deny' } })).toMatchObject({ defaultIntentionPolicy: 'deny', aclsEnabled: true });
    expect(self({ DefaultIntentionPolicy: 'ask' })).toMatchObject({ defaultIntentionPolicy: 'deny' });
    expect(parseCluster('<html>')).toBeUndefined();
  });
});
