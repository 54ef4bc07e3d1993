// The mesh of the benchmark, as a folder of mesh files, and the changes that are made to it.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const PROXIES_PER_NODE = 10;

/** @typedef {{ services: number, instances: number, callees: number }} Size */

/** `200x5x10`: services, instances of each, services that each may call. @param {string} text @returns {Size} */
export function parseSize(text) {
  const [services, instances, callees] = text.split('x').map(Number);
  if (![services, instances, callees].every((count) => Number.isInteger(count) && count > 0) || callees >= services) {
    throw new Error(`${text} is no size: SERVICESxINSTANCESxCALLEES, with fewer callees than services`);
  }
  return { services, instances, callees };
}

const name = (service) => `svc-${service}`;

/** @param {Size} size */
export function makeMesh({ services, instances, callees }) {
  const count = Math.max(instances, Math.ceil((services * instances) / PROXIES_PER_NODE));
  const nodes = Array.from({ length: count }, (_, i) => ({ name: `node-${i}`, address: `10.${10 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`, services: [] }));
  for (let service = 0; service < services; service += 1) {
    for (let instance = 0; instance < instances; instance += 1) {
      const on = nodes[(service * instances + instance) % count].services;
      const sidecar = { port: 20_000 + on.length, proxy: { mode: 'transparent' } };
      on.push({ name: name(service), port: 8_000 + on.length, connect: { sidecar_service: sidecar } });
    }
  }
  const callers = Array.from({ length: services }, () => []);
  for (let service = 0; service < services; service += 1) {
    // Neighbours at growing distances, so that what one change touches is spread over the mesh.
    for (let k = 1, step = 1; k <= callees; step += 1) {
      const callee = (service + step * step) % services;
      const fallback = (service + step) % services;
      for (const to of step <= 2 * services ? [callee] : [fallback]) {
        if (to === service || callers[to].includes(service)) continue;
        callers[to].push(service);
        k += 1;
      }
    }
  }
  const intentions = callers.flatMap((from, to) =>
    from.length === 0 ? [] : [{ kind: 'service-intentions', name: name(to), sources: from.map((service) => ({ name: name(service), action: 'allow' })) }],
  );
  return { nodes, intentions };
}

/** The proxies of a mesh: their IDs and nodes. */
export function proxiesOf({ nodes }) {
  return nodes.flatMap((node) => node.services.map((service) => ({ id: `${service.name}-sidecar-proxy`, node: node.name })));
}

/** One file per node and per intention entry. */
export function writeMesh(folder, { nodes, intentions }) {
  mkdirSync(folder, { recursive: true });
  write(folder, 'mesh.json', { datacenter: 'dc1', default_intention_policy: 'deny' });
  for (const node of nodes) write(folder, `${node.name}.json`, { nodes: [node] });
  for (const entry of intentions) write(folder, `intentions-${entry.name}.json`, { config_entries: [entry] });
}

/** What is changed, by kind: for mesh files `files(folder, n)`, for Consul's HTTP API `consul(n)`. `n` differs at each turn. */
export const CHANGES = {
  'endpoint added': {
    files: (folder, n) => write(folder, `extra-${n}.json`, { nodes: [extraNode(n, 'svc-0')] }),
    consul: (n) => register(extraNode(n, 'svc-0')),
  },
  'endpoint removed': {
    files: (folder, n) => rmSync(path.join(folder, `extra-${n}.json`), { force: true }),
    consul: (n) => [['PUT', '/v1/catalog/deregister', { Node: `extra-${n}` }]],
  },
  'intention added': {
    files: (folder, n) =>
      edit(folder, 'intentions-svc-0.json', ({ config_entries: [entry] }) => ({
        config_entries: [{ ...entry, sources: [...entry.sources, { name: name(newCaller(entry, n)), action: 'allow' }] }],
      })),
    consul: (n) => [['PUT', `/v1/connect/intentions/exact?source=${name(20 + n)}&destination=svc-0`, { Action: 'allow' }]],
  },
  "one proxy's config": {
    files: (folder, n) =>
      edit(folder, 'node-0.json', ({ nodes: [node] }) => ({
        nodes: [
          {
            ...node,
            services: node.services.map((service) => (service.name === 'svc-0' ? withConfig(service, { local_connect_timeout_ms: 6000 + n }) : service)),
          },
        ],
      })),
    consul: (n, { nodes }) =>
      register({
        ...nodes[0],
        services: nodes[0].services.filter((service) => service.name === 'svc-0').map((service) => withConfig(service, { local_connect_timeout_ms: 6000 + n })),
      }),
  },
  'unrelated service': {
    touchesNobody: true,
    files: (folder, n) => write(folder, `unrelated-${n}.json`, { nodes: [extraNode(n, `zz-${n}`, 1)] }),
    consul: (n) => register(extraNode(n, `zz-${n}`, 1)),
  },
  'proxy-defaults': {
    files: (folder, n) =>
      write(folder, 'proxy-defaults.json', { config_entries: [{ kind: 'proxy-defaults', name: 'global', config: { local_connect_timeout_ms: 7000 + n } }] }),
    consul: (n) => [['PUT', '/v1/config', { Kind: 'proxy-defaults', Name: 'global', Config: { local_connect_timeout_ms: 7000 + n } }]],
  },
};

/** The HTTP requests that put a mesh into Consul. */
export function consulRequests({ nodes, intentions }) {
  return [
    ...nodes.flatMap(register),
    ...intentions.map(({ name: to, sources }) => [
      'PUT',
      '/v1/config',
      { Kind: 'service-intentions', Name: to, Sources: sources.map((source) => ({ Name: source.name, Action: source.action })) },
    ]),
  ];
}

function extraNode(n, service, net = 0) {
  const sidecar = { port: 20_000, proxy: { mode: 'transparent' } };
  return {
    name: `extra-${net ? 'u' : ''}${n}`,
    address: `10.99.${net}.${n + 1}`,
    services: [{ name: service, port: 8000, connect: { sidecar_service: sidecar } }],
  };
}

function withConfig(service, config) {
  const { sidecar_service: sidecar } = service.connect;
  return { ...service, connect: { sidecar_service: { ...sidecar, proxy: { ...sidecar.proxy, config } } } };
}

/** A service that may not call yet. */
function newCaller({ sources }, n) {
  for (let service = 20 + n; ; service += 1) if (!sources.some((source) => source.name === name(service))) return service;
}

function register({ name: Node, address: Address, services }) {
  return services.flatMap(({ name: service, port, connect: { sidecar_service: sidecar } }) => {
    const proxy = {
      Kind: 'connect-proxy',
      ID: `${service}-sidecar-proxy`,
      Service: `${service}-sidecar-proxy`,
      Port: sidecar.port,
      Proxy: {
        DestinationServiceName: service,
        DestinationServiceID: service,
        LocalServiceAddress: '127.0.0.1',
        LocalServicePort: port,
        Mode: 'transparent',
        Config: sidecar.proxy.config,
      },
    };
    return [{ ID: service, Service: service, Port: port }, proxy].map((Service) => ['PUT', '/v1/catalog/register', { Node, Address, Service }]);
  });
}

function edit(folder, file, change) {
  write(folder, file, change(JSON.parse(readFileSync(path.join(folder, file), 'utf8'))));
}

function write(folder, file, content) {
  const target = path.join(folder, file);
  writeFileSync(`${target}.tmp~`, JSON.stringify(content));
  renameSync(`${target}.tmp~`, target);
}
