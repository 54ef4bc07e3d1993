import { describe, expect, test } from 'vitest';
import { simulate, simulateUnchecked } from './simulate.ts';

/** One notion of "the same service": Consul's, which does not look at case. */

describe('an intention in another case', () => {
  test.each(['API', 'Api', 'api'])('for %s denies under a default that allows', (name) => {
    const mesh = simulate(`{ services: [Web, api], default_intention_policy: allow, intentions: ['WEB => ${name}: deny'] }`);
    expect(mesh.call({ from: 'Web', to: 'api:80' })).toMatchObject({ outcome: 'denied', at: 'Web' });
    expect(mesh.knock({ as: 'Web', to: 'api' })).toMatchObject({ outcome: 'denied', at: 'api' });
    expect(mesh.topology.intentions.decide('Web', 'api').allowed).toBe('deny');
  });

  test('with permissions denies what it denies', () => {
    const mesh = simulate(
      '{ services: [web, Api], http: [aPI], default_intention_policy: allow, intentions: [{ WEB => API: [{ action: deny, http: { path_prefix: /admin } }] }] }',
    );
    expect(mesh.call({ from: 'web', to: 'Api:80', path: '/admin' })).toMatchObject({ outcome: 'denied', at: 'Api' });
    expect(mesh.call({ from: 'web', to: 'Api:80', path: '/' })).toMatchObject({ outcome: 'reaches' });
  });

  test('in two spellings of one source: the denial counts', () => {
    for (const sources of ['{ name: web, action: allow }, { name: WEB, action: deny }', '{ name: WEB, action: deny }, { name: web, action: allow }']) {
      const entry = `{ kind: service-intentions, name: api, sources: [${sources}] }`;
      expect(() => simulate(`{ services: [web, api], config_entries: [${entry}] }`)).toThrow('duplicate-source');
    }
  });
});

test('what is respelled still knows where it is written', () => {
  const mesh = simulateUnchecked("{ services: [web, api, { name: API, id: api-2 }], intentions: ['WEB => Api: allow'] }").mesh;
  expect(mesh.configEntries.get('service-intentions', 'api')?.place?.file).toBe('mesh.json');
  expect(mesh.instances.map(({ place }) => place?.file)).toEqual(mesh.instances.map(() => 'mesh.json'));
});

test('instances that spell their service differently are one service with one identity', () => {
  const mesh = simulate("{ services: [web, api, { name: API, id: api-2 }], intentions: ['web => Api: allow'] }");
  expect(mesh.call({ from: 'web', to: 'api:80' })).toMatchObject({ outcome: 'reaches', instances: ['api', 'api-2'] });
  expect(mesh.sidecar('api-2').service).toBe('api');
});

test('the spelling does not depend on the order of writing', () => {
  for (const services of ['api, { name: API, id: a2 }', '{ name: API, id: a2 }, api'])
    expect(simulate(`{ services: [${services}] }`).mesh.serviceNames.spellingOf('aPi')).toBe('api');
});

test('a name that only proxies carry is spelled as in their certificates', () => {
  expect(simulate('{ services: [Web], intentions: ["web => WEB: allow"] }').mesh.serviceNames.spellingOf('web')).toBe('Web');
});

test('chains, upstreams and defaults find each other', () => {
  const mesh = simulate(`
    services: [{ name: web, proxy: { upstreams: [{ destination_name: API, local_bind_port: 5000 }] } }, { name: api, meta: { v: '1' } }, { name: Pay }]
    http: [Api, OLD, pay]
    intentions: ['web => api: allow', 'web => PAY: allow', 'WEB => Old: allow']
    config_entries:
      - { kind: service-resolver, name: aPI, subsets: { v1: { filter: 'Service.Meta.v == 1' } } }
      - { kind: service-resolver, name: old, redirect: { service: Api, service_subset: v1 } }
  `);
  expect(mesh.call({ from: 'web', to: 'localhost:5000' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
  expect(mesh.call({ from: 'web', to: 'old:80' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
  expect(mesh.call({ from: 'web', to: 'Pay:80', path: '/x' })).toMatchObject({ outcome: 'reaches', instances: ['Pay'] });
});

describe('a virtual address', () => {
  const tagged = (name: string, address: string) => `{ name: ${name}, sidecar: { tagged_addresses: { virtual: { address: "${address}", port: 80 } } } }`;
  /** `api` has 240.0.0.2 in both: names get their addresses in the order of writing, and `web` is first. */
  const mesh = (thief: string, more = '') =>
    `{ services: [web, api, ${thief}], intentions: ['web => api: allow', 'web => aaa: allow', 'web => zzz: allow'], virtual_ips: { api: 240.0.0.2 } ${more} }`;

  test.each(['aaa', 'zzz'])('that was handed out stays with its service, though %s claims it', (thief) => {
    const simulated = simulate(mesh(tagged(thief, '240.0.0.2')));
    expect(simulated.call({ from: 'web', to: '240.0.0.2:80' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
    expect(simulated.topology.virtualAddressProblems()).toMatchObject([{ code: 'virtual-ip-taken', message: expect.stringContaining('"api"') }]);
  });

  test.each(['aaa', 'zzz'])('leads a caller who may not reach its service nowhere, though %s claims it', (thief) => {
    const text = `{ services: [web, api, ${tagged(thief, '240.0.0.2')}], intentions: ['web => ${thief}: allow'], virtual_ips: { api: 240.0.0.2 } }`;
    expect(simulate(text).call({ from: 'web', to: '240.0.0.2:80' })).toMatchObject({ outcome: 'denied', at: 'web' });
  });

  test.each([
    ['in another writing', '::ffff:240.0.0.2'],
    ['of the range that is handed out', '240.0.0.77'],
    ['of a loopback', '127.0.0.1'],
    ["of another service's instance", '10.0.0.2'],
  ])('%s is no claim', (_, address) => {
    const simulated = simulate(mesh(tagged('aaa', address)));
    expect(simulated.topology.virtualAddressProblems()).toMatchObject([{ code: 'virtual-ip-taken' }]);
    const chains = simulated.sidecar('web').listeners.flatMap(({ filter_chains: all = [] }) => all);
    const aaa = chains.filter((chain) => JSON.stringify(chain).includes('"aaa.default.dc1')).flatMap((chain) => chain.filter_chain_match?.prefix_ranges ?? []);
    expect(aaa.map(({ address_prefix: prefix }) => prefix)).not.toContain(address);
  });

  test('that is managed for another service is not had by tagging it', () => {
    const simulated = simulate(mesh(tagged('aaa', '172.30.0.1'), ', manual_virtual_ips: { Api: [172.30.0.1] }'));
    expect(simulated.call({ from: 'web', to: '172.30.0.1:80' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
  });

  test('that two services claim means neither', () => {
    const text = `{ services: [web, ${tagged('aaa', '172.20.0.9')}, ${tagged('zzz', '172.20.0.9')}], intentions: ['web => aaa: allow', 'web => zzz: allow'] }`;
    const simulated = simulate(text);
    expect(simulated.call({ from: 'web', to: '172.20.0.9:80' })).toMatchObject({ outcome: 'denied', at: 'web', cluster: 'denied' });
    expect(simulated.topology.virtualAddressProblems()).toHaveLength(2);
  });

  test('is not had by a destination outside, on no port', () => {
    const text = `
      services: [web, api]
      intentions: ['web => api: allow', 'web => out: allow']
      virtual_ips: { api: 240.0.0.2 }
      config_entries: [{ kind: service-defaults, name: out, protocol: tcp, destination: { addresses: [240.0.0.2, 198.51.100.7], port: 443 } }]
    `;
    const simulated = simulateUnchecked(text);
    expect(simulated.call({ from: 'web', to: '240.0.0.2:443', protocol: 'tcp' })).toMatchObject({ outcome: 'reaches', instances: ['api'] });
  });

  test('is not had by an instance that says it lives there', () => {
    const text = `
      services: [web, api, { name: evil, machine: 240.0.0.2, proxy: { transparent_proxy: { dialed_directly: true } } }]
      intentions: ['web => evil: allow']
      virtual_ips: { api: 240.0.0.2 }
    `;
    expect(simulate(text).call({ from: 'web', to: '240.0.0.2:80' })).toMatchObject({ outcome: 'denied', at: 'web' });
  });
});
