import { describe, expect, test } from 'vitest';
import { simulate, simulateUnchecked } from './simulate.ts';

/** What captured connections mean: virtual addresses, instances, addresses outside, and what is refused. */

describe('virtual addresses', () => {
  test('mean the service, whatever the port', () => {
    const mesh = simulate("{ services: [web, db], intentions: ['web => db: allow'] }");
    for (const port of [1, 80, 5432])
      expect(mesh.call({ from: 'web', to: `db:${port}`, protocol: 'tcp' })).toMatchObject({ outcome: 'reaches', instances: ['db'] });
  });

  test('that mean nobody are refused', () => {
    const mesh = simulate("{ services: [web, db], intentions: ['web => db: allow'] }");
    expect(mesh.call({ from: 'web', to: '240.9.9.9:80' })).toMatchObject({ outcome: 'denied', at: 'web', cluster: 'denied' });
  });

  test.each([
    ['managed elsewhere', '{ services: [web, db, cron], manual_virtual_ips: { db: [172.30.0.1] }, intentions: ["web => db: allow"] }', '172.30.0.1:5432'],
    [
      'tagged, as in Kubernetes',
      '{ services: [web, { name: db, sidecar: { tagged_addresses: { virtual: { address: 172.30.0.1, port: 5432 } } } }, cron], intentions: ["web => db: allow"] }',
      '172.30.0.1:5432',
    ],
    ['of IPv6', '{ services: [web, db, cron], manual_virtual_ips: { db: ["fd00::1"] }, intentions: ["web => db: allow"] }', '[fd00::1]:5432'],
  ])('%s lead there for those who may, and nowhere for others', (_, text, to) => {
    const mesh = simulate(text);
    expect(mesh.call({ from: 'web', to })).toMatchObject({ outcome: 'reaches', instances: ['db'] });
    expect(mesh.call({ from: 'cron', to })).toMatchObject({ outcome: 'denied', at: 'cron', cluster: 'denied' });
  });

  test('a service reaches its own machine, but is not its own upstream', () => {
    const mesh = simulate('{ services: [web, db], default_intention_policy: allow }');
    expect(mesh.call({ from: 'db', to: 'db:80' })).toMatchObject({ outcome: 'denied', cluster: 'denied' });
    expect(mesh.sidecar('db').resources.map(({ name }) => name)).not.toContain('db.default.dc1.internal.mesh.test');
  });
});

test.each(['127.0.0.1:15001', '[::1]:15001'])(
  'a connection to the own address of the outbound listener, %s, is refused: passed on, it would come back for ever',
  (to) => {
    for (const others of [
      '[]',
      // An instance that is dialed directly on loopback, and a destination whose port is the listener's.
      '[{ kind: service-defaults, name: db, transparent_proxy: { dialed_directly: true } }]',
      '[{ kind: service-defaults, name: far, protocol: http, destination: { addresses: [far.example], port: 15001 } }]',
    ]) {
      const mesh = simulate(`
      services: [web, { name: db, machine: ${to.startsWith('[') ? '"::1"' : '127.0.0.1'} }]
      intentions: ['web => db: allow', 'web => far: allow']
      config_entries: ${others}
    `);
      expect(mesh.call({ from: 'web', to }), others).toMatchObject({ outcome: 'denied', at: 'web', cluster: 'denied' });
    }
  },
);

describe('addresses outside the mesh', () => {
  test('are passed on untouched', () => {
    const mesh = simulate('{ services: [web] }');
    expect(mesh.call({ from: 'web', to: '192.0.2.1:443', protocol: 'tcp' })).toMatchObject({
      outcome: 'reaches',
      cluster: 'original-destination',
      instances: ['192.0.2.1:443'],
    });
  });

  test('unless only destinations in the mesh are wanted', () => {
    const strict = (intentions: string) =>
      simulate(`
        services: [web, db]
        intentions: [${intentions}]
        config_entries: [{ kind: mesh, transparent_proxy: { mesh_destinations_only: true } }]
      `);
    expect(strict("'web => db: allow'").call({ from: 'web', to: '192.0.2.1:443' })).toMatchObject({ outcome: 'denied', by: 'no filter chain' });
    expect(strict("'web => db: allow'").call({ from: 'web', to: 'db:5432' })).toMatchObject({ outcome: 'reaches' });
    // Without any upstream there is no listener, and the kernel refuses.
    expect(strict('').call({ from: 'web', to: '192.0.2.1:443' })).toMatchObject({ outcome: 'denied', by: 'nobody listens' });
  });

  test('a machine of the mesh dialed by its address takes no plaintext', () => {
    const mesh = simulate("{ services: [web, db], intentions: ['web => db: allow'] }");
    expect(mesh.call({ from: 'web', to: '10.0.0.2:8080' })).toMatchObject({ outcome: 'denied', at: 'db', by: 'plaintext on a TLS chain' });
    expect(mesh.call({ from: 'web', to: '10.0.0.2:21000' })).toMatchObject({ outcome: 'denied', at: 'db', by: 'plaintext on a TLS chain' });
  });
});

describe('instances dialed directly', () => {
  const DIRECT = 'proxy: { transparent_proxy: { dialed_directly: true } }';
  const headless = (more = '') =>
    simulate(`
      services: [web, { name: db, id: db-1, ${DIRECT} }, { name: db, id: db-2, ${DIRECT} }, cron]
      intentions: ['web => db: allow']
      ${more}
    `);

  test('are reached one by one, by mTLS, and by the virtual IP as before', () => {
    const mesh = headless();
    const passthrough = { outcome: 'reaches', cluster: 'passthrough~db.default.dc1.internal.mesh.test' };
    expect(mesh.call({ from: 'web', to: '10.0.0.2:5432' })).toMatchObject({ ...passthrough, instances: ['db-1'] });
    expect(mesh.call({ from: 'web', to: '10.0.0.3:5432' })).toMatchObject({ ...passthrough, instances: ['db-2'] });
    expect(mesh.call({ from: 'web', to: 'db:5432' })).toMatchObject({ outcome: 'reaches', instances: ['db-1', 'db-2'] });
  });

  test('are refused for those who may not, before anything is sent', () => {
    expect(headless().call({ from: 'cron', to: '10.0.0.2:5432' })).toMatchObject({ outcome: 'denied', at: 'cron', cluster: 'denied' });
  });

  test('leave their neighbours and their own machine alone', () => {
    expect(headless().call({ from: 'db-1', to: '10.0.0.2:9999' })).toMatchObject({ cluster: 'original-destination' });
    expect(headless().call({ from: 'db-1', to: '10.0.0.3:7000' })).toMatchObject({ cluster: 'original-destination' });
  });

  test('speak tcp even where the service speaks HTTP, and its permissions hold', () => {
    const mesh = simulate(`
      services: [web, { name: api, ${DIRECT} }]
      http: [api]
      intentions: [{ web => api: [{ action: allow, http: { path_exact: /a } }] }]
    `);
    expect(mesh.call({ from: 'web', to: '10.0.0.2:8080', path: '/a' })).toMatchObject({ outcome: 'reaches', cluster: expect.stringMatching(/^passthrough~/) });
    expect(mesh.call({ from: 'web', to: '10.0.0.2:8080', path: '/b' })).toMatchObject({ outcome: 'denied', at: 'api', by: 'HTTP RBAC' });
  });

  test('of both kinds in one service: only those that are', () => {
    const mixed = simulate(`{ services: [web, { name: db, id: db-1, ${DIRECT} }, { name: db, id: db-2 }], intentions: ['web => db: allow'] }`);
    expect(mixed.call({ from: 'web', to: '10.0.0.2:5432' })).toMatchObject({ outcome: 'reaches', instances: ['db-1'] });
    expect(mixed.call({ from: 'web', to: '10.0.0.3:5432' })).toMatchObject({ cluster: 'original-destination', outcome: 'denied', at: 'db-2' });
  });
});

describe('explicit upstreams', () => {
  const upstreams = (list: string, more = '') =>
    simulate(`{ services: [{ name: web, proxy: { upstreams: [${list}] } }, api, db], intentions: ['web => api: allow'], http: [api], ${more} }`);

  test('have a listener of their own beside the virtual IP', () => {
    const mesh = upstreams('{ destination_name: api, local_bind_port: 5000 }');
    expect(mesh.call({ from: 'web', to: 'localhost:5000' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
    expect(mesh.call({ from: 'web', to: 'api:80' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
    expect(mesh.call({ from: 'web', to: 'localhost:5001' })).toMatchObject({ outcome: 'denied', by: 'nobody listens' });
  });

  test('do not get around intentions', () => {
    const mesh = upstreams('{ destination_name: db, local_bind_port: 5000 }');
    expect(mesh.call({ from: 'web', to: 'localhost:5000' })).toMatchObject({ outcome: 'denied', at: 'db', by: 'identity of the caller' });
    expect(mesh.call({ from: 'web', to: 'db:80' })).toMatchObject({ outcome: 'denied', at: 'web', cluster: 'denied' });
  });

  test('without a port are dialed by the virtual IP, and the destination decides', () => {
    const mesh = simulateUnchecked('{ services: [{ name: web, proxy: { upstreams: [{ destination_name: db }] } }, db] }');
    expect(mesh.call({ from: 'web', to: 'db:80' })).toMatchObject({ outcome: 'denied', at: 'db', by: 'identity of the caller' });
  });

  test('are all that an application without capture has', () => {
    const direct = simulate(`
      services: [{ name: web, proxy: { mode: direct, upstreams: [{ destination_name: api, local_bind_port: 5000 }] } }, api]
      intentions: ['web => api: allow']
    `);
    expect(direct.call({ from: 'web', to: 'localhost:5000' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
    expect(direct.sidecar('web').outboundListener).toBeUndefined();
  });

  test('of an unknown service, another datacenter or a prepared query reach nobody, and hold nothing up', () => {
    const mesh = upstreams(`
      { destination_name: nobody, local_bind_port: 5000 },
      { destination_name: api, datacenter: dc2, local_bind_port: 5001 },
      { destination_name: q, destination_type: prepared_query, local_bind_port: 5002 }`);
    for (const port of [5000, 5001, 5002]) {
      expect(mesh.call({ from: 'web', to: `localhost:${port}` }), `${port}`).toMatchObject({ outcome: 'denied', by: 'no healthy host' });
    }
  });

  test('follow the chain of their service', () => {
    const mesh = upstreams(
      '{ destination_name: api, local_bind_port: 5000 }',
      'config_entries: [{ kind: service-resolver, name: api, redirect: { service: new } }, { kind: service-defaults, name: new, protocol: http }]',
    );
    expect(mesh.call({ from: 'web', to: 'localhost:5000' })).toMatchObject({ cluster: 'new.default.dc1.internal.mesh.test' });
  });
});

describe('permissive mutual TLS', () => {
  const permissive = (allowed: boolean) =>
    simulate(`
      services: [{ name: old, proxy: { mode: direct } }, { name: db, proxy: { mutual_tls_mode: permissive } }, web]
      intentions: ['web => db: allow']
      config_entries: [{ kind: mesh, allow_enabling_permissive_mutual_tls: ${allowed} }]
    `);

  test('lets plaintext in on the port of the application only', () => {
    expect(permissive(true).call({ from: 'old', to: '10.0.0.2:8080' })).toMatchObject({ outcome: 'reaches', instances: ['db'] });
    expect(permissive(true).call({ from: 'old', to: '10.0.0.2:8081' })).toMatchObject({ outcome: 'denied', by: 'plaintext on a TLS chain' });
  });

  test('leaves the mesh as strict as it was', () => {
    expect(permissive(true).call({ from: 'web', to: 'db:80' })).toMatchObject({ outcome: 'reaches', instances: ['db'] });
    expect(permissive(true).knock({ as: 'old', to: 'db' })).toMatchObject({ outcome: 'denied', by: 'identity of the caller' });
  });

  test('needs the mesh entry to allow it', () => {
    expect(permissive(false).call({ from: 'old', to: '10.0.0.2:8080' })).toMatchObject({ outcome: 'denied', by: 'plaintext on a TLS chain' });
  });
});

describe('ways out of the mesh', () => {
  const gateway = (entries: string, intentions = "'web => shop: allow'") =>
    simulate(`
      services:
        - web
        - cron
        - { name: egress, kind: terminating-gateway, port: 8443, sidecar: false }
        - { name: legacy, sidecar: false, machine: 192.0.2.9 }
      intentions: [${intentions}]
      config_entries: [${entries}]
    `);

  test('a terminating gateway stands for a service without a sidecar', () => {
    const mesh = gateway('{ kind: terminating-gateway, name: egress, services: [{ name: legacy }] }', "'web => legacy: allow'");
    expect(mesh.call({ from: 'web', to: 'legacy:80', protocol: 'tcp' })).toMatchObject({ outcome: 'reaches', instances: ['egress'] });
    expect(mesh.call({ from: 'cron', to: 'legacy:80', protocol: 'tcp' })).toMatchObject({ outcome: 'denied', at: 'cron', cluster: 'denied' });
  });

  test('without a gateway it has no instances in the mesh, and is passed by at its own address', () => {
    const mesh = gateway('', "'web => legacy: allow'");
    expect(mesh.call({ from: 'web', to: '192.0.2.9:8080' })).toMatchObject({ cluster: 'original-destination', instances: ['legacy'] });
  });

  const LINKED = '{ kind: terminating-gateway, name: egress, services: [{ name: shop }] }';

  test('a tcp destination is an address or a server name, with its port', () => {
    const mesh = gateway(`{ kind: service-defaults, name: shop, destination: { addresses: [203.0.113.5, shop.example], port: 443 } }, ${LINKED}`);
    const reached = { outcome: 'reaches', instances: ['egress'] };
    expect(mesh.call({ from: 'web', to: '203.0.113.5:443', protocol: 'tcp' })).toMatchObject({
      ...reached,
      cluster: 'destination.203-0-113-5.shop.default.dc1.internal.mesh.test',
    });
    expect(mesh.call({ from: 'web', to: '198.51.100.7:443', serverName: 'shop.example', protocol: 'tcp' })).toMatchObject({
      ...reached,
      cluster: 'destination.shop-example.shop.default.dc1.internal.mesh.test',
    });
    expect(mesh.call({ from: 'cron', to: '203.0.113.5:443', protocol: 'tcp' })).toMatchObject({ cluster: 'original-destination' });
  });

  test('an HTTP destination is a host, with its port', () => {
    const mesh = gateway(`{ kind: service-defaults, name: shop, protocol: http, destination: { addresses: [shop.example], port: 80 } }, ${LINKED}`);
    expect(mesh.call({ from: 'web', to: '203.0.113.5:80', host: 'shop.example' })).toMatchObject({ outcome: 'reaches', instances: ['egress'] });
    expect(mesh.call({ from: 'web', to: '203.0.113.5:80', host: 'other.example' })).toMatchObject({ outcome: 'denied', by: 'no route' });
  });
});

describe('a destination on a port', () => {
  const mesh = (destination: string) =>
    simulate(`
      services:
        - web
        - db
        - { name: cache, proxy: { transparent_proxy: { dialed_directly: true } } }
        - { name: secret, proxy: { transparent_proxy: { dialed_directly: true } } }
      intentions: ['web => db: allow', 'web => cache: allow', 'web => shop: allow']
      config_entries: [{ kind: service-defaults, name: shop, ${destination} }]
    `);

  test.each([
    ['by server name', 'destination: { addresses: [shop.example], port: 443 }'],
    ['by address', 'destination: { addresses: [203.0.113.5], port: 443 }'],
    ['by host', 'protocol: http, destination: { addresses: [shop.example], port: 443 }'],
  ])('%s leaves what else is on that port as it is', (_, destination) => {
    const call = (to: string) => mesh(destination).call({ from: 'web', to });
    for (const port of [443, 80]) {
      expect(call(`db:${port}`), 'a virtual IP').toMatchObject({ outcome: 'reaches', instances: ['db'] });
      expect(call(`10.0.0.3:${port}`), 'an instance').toMatchObject({ outcome: 'reaches', instances: ['cache'] });
      expect(call(`secret:${port}`), 'a denied virtual IP').toMatchObject({ outcome: 'denied', at: 'web', cluster: 'denied' });
      expect(call(`10.0.0.4:${port}`), 'a denied instance').toMatchObject({ outcome: 'denied', at: 'web', cluster: 'denied' });
    }
  });
});

describe('machines', () => {
  test('of IPv6 only', () => {
    const mesh = simulate(`
      services: [{ name: web, machine: 'fd00::a' }, { name: db, machine: 'fd00::b', proxy: { transparent_proxy: { dialed_directly: true } } }]
      manual_virtual_ips: { db: ['fd66::1'] }
      intentions: ['web => db: allow']
    `);
    for (const to of ['db:80', '[fd66::1]:80', '[fd00::b]:5432'])
      expect(mesh.call({ from: 'web', to }), to).toMatchObject({ outcome: 'reaches', instances: ['db'] });
    expect(mesh.call({ from: 'web', to: '[2001:db8::1]:80' })).toMatchObject({ cluster: 'original-destination' });
  });

  test('with two services: each by its own port and identity', () => {
    const mesh = simulate(`
      services: [web, { name: db, machine: 10.0.0.9, sidecar: { port: 21001 } }, { name: cache, machine: 10.0.0.9, sidecar: { port: 21002 } }]
      intentions: ['web => db: allow']
    `);
    expect(mesh.call({ from: 'web', to: 'db:5432', protocol: 'tcp' })).toMatchObject({ outcome: 'reaches', instances: ['db'] });
    expect(mesh.knock({ as: 'web', to: 'cache' })).toMatchObject({ outcome: 'denied', at: 'cache' });
  });

  test('with an address and port of their own', () => {
    const mesh = simulate(`
      services: [web, { name: db, address: 10.1.0.2, proxy: { local_service_port: 15432, config: { bind_port: 9000, bind_address: 10.1.0.2 } }, sidecar: { port: 9000 } }]
      intentions: ['web => db: allow']
    `);
    expect(mesh.call({ from: 'web', to: 'db:5432' })).toMatchObject({ outcome: 'reaches', instances: ['db'], application: '127.0.0.1:15432' });
  });

  test('Connect-native services need no sidecar', () => {
    const mesh = simulate("{ services: [web, { name: db, sidecar: false, connect: { native: true } }], intentions: ['web => db: allow'] }");
    expect(mesh.call({ from: 'web', to: 'db:5432' })).toMatchObject({ outcome: 'reaches', instances: ['db'], application: '10.0.0.2:8080' });
  });

  test('expose paths for whoever has no certificate, and nothing else', () => {
    const mesh = simulate(`
      services: [{ name: probe, proxy: { mode: direct } }, { name: api, proxy: { expose: { paths: [{ path: /health, local_path_port: 8080, listener_port: 9100 }] } } }]
      http: [api]
    `);
    expect(mesh.call({ from: 'probe', to: '10.0.0.2:9100', path: '/health?full' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
    expect(mesh.call({ from: 'probe', to: '10.0.0.2:9100', path: '/' })).toMatchObject({ outcome: 'denied', by: 'no route' });
  });
});
