import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reachableAddress } from '../../src/mesh/instance.ts';
import type { Mesh } from '../../src/mesh/mesh.ts';
import { resolveProxySettings } from '../../src/topology/proxy-settings.ts';
import { parseUncheckedMesh, virtualIpsOf } from '../simulation/parse-mesh.ts';
import { type Outcome, Simulation } from '../simulation/simulate.ts';
import { actionOf, deciding, intentionsAllow, type Rules } from './intentions-oracle.ts';
import { PROVIDERS, SERVICES } from './random-entries.ts';
import { type RandomMesh, randomMesh } from './random-mesh.ts';

/** Who reaches whom by the resources that were built, against Consul's rules by brute force. `PROPERTY_RUNS=5000` looks longer. */

const RUNS = Number(process.env.PROPERTY_RUNS ?? 40);
const TRUST_DOMAIN = 'mesh.test';

const token = fc.record({ role: fc.constantFrom('admin', 'guest'), a: fc.constantFrom({ b: '1' }, { b: '2' }) }, { requiredKeys: [] });
const request = fc.record({
  path: fc.constantFrom('/', '/p', '/p/', '/p/q', '/q', '/px', '/p?q=1'),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  headers: fc.dictionary(fc.constantFrom('x-one', 'x-two'), fc.constantFrom('v', 'V', 'vw', 'WV', ''), { maxKeys: 2, noNullPrototype: true }),
  tokens: fc
    .dictionary(fc.constantFrom(...PROVIDERS), token, { maxKeys: 2, noNullPrototype: true })
    .map((tokens) => Object.entries(tokens).map(([name, claims]) => ({ iss: `https://${name}.example`, ...claims }))),
});
interface Sent {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tokens: readonly { readonly iss: string }[];
}

function simulationOf(file: RandomMesh): Simulation {
  const mesh = parseUncheckedMesh(file);
  return new Simulation(mesh, virtualIpsOf(mesh));
}

/** Consul's answer to "may this caller send that to an instance of this service?". */
function mayReach({ configEntries, defaultIntentionPolicy }: Mesh, caller: string, destination: string, sent: Sent): boolean {
  const providers = new Set(configEntries.ofKind('jwt-provider').map(({ name }) => name));
  const rules: Rules = { entries: configEntries.ofKind('service-intentions'), defaultPolicy: defaultIntentionPolicy, providers };
  const protocol = configEntries.get('service-defaults', destination)?.protocol ?? configEntries.get('proxy-defaults', 'global')?.config?.protocol;
  if (!protocol || protocol === 'tcp') return mayConnect(rules, caller, destination);
  const identity = `spiffe://${TRUST_DOMAIN}/ns/default/dc/dc1/svc/${caller}`;
  const tokens = Object.fromEntries(sent.tokens.map((payload) => [`jwt_payload_${payload.iss.slice('https://'.length, -'.example'.length)}`, payload]));
  return intentionsAllow(rules, caller, destination, { ...sent, path: sent.path.replace(/\?.*/, ''), identity, tokens });
}

/** Rules for requests cannot be enforced on connections, so whom they concern is denied. */
function mayConnect({ entries, defaultPolicy }: Rules, caller: string, destination: string): boolean {
  const decided = deciding(entries, caller, destination);
  return decided ? actionOf(decided.source) === 'allow' && decided.jwt === undefined : defaultPolicy === 'allow';
}

/** Whether the caller's proxy knows the way at all: only an outright denial takes it away. */
function knowsTheWay({ configEntries, defaultIntentionPolicy }: Mesh, caller: string, destination: string): boolean {
  const decided = deciding(configEntries.ofKind('service-intentions'), caller, destination);
  return (decided ? actionOf(decided.source) : defaultIntentionPolicy) !== 'deny';
}

/** The services whose instances a call got to. */
function servicesReached({ mesh }: Simulation, { instances }: Outcome): string[] {
  return mesh.instances.filter(({ id, kind }) => kind === '' && instances.includes(id)).map(({ service }) => service);
}

describe('at the destination', () => {
  test('every caller is let in and every request served as the intentions say', () => {
    fc.assert(
      fc.property(randomMesh(), fc.constantFrom(...SERVICES, 'stranger', 'bxa'), request, (file, caller, sent) => {
        const simulation = simulationOf(file);
        for (const { serviceId, service } of simulation.sidecars) {
          const { outcome } = simulation.knock({ as: caller, to: serviceId, ...sent });
          expect([service, outcome]).toEqual([service, mayReach(simulation.mesh, caller, service, sent) ? 'reaches' : 'denied']);
        }
      }),
      { numRuns: 2 * RUNS },
    );
  });
});

describe('by virtual IP', () => {
  test('without chains: the caller reaches exactly what intentions let it, while anybody is healthy', () => {
    fc.assert(
      fc.property(randomMesh({ chains: false }), request, (file, sent) => {
        const simulation = simulationOf(file);
        for (const { service: caller, serviceId, captures } of simulation.sidecars) {
          if (!captures) continue;
          for (const service of SERVICES) {
            if (!isPlain(simulation, caller, service)) continue;
            const outcome = simulation.call({ from: serviceId, to: `${service}:80`, ...sent });
            const expected =
              caller !== service &&
              knowsTheWay(simulation.mesh, caller, service) &&
              isHealthy(simulation.mesh, service) &&
              mayReach(simulation.mesh, caller, service, sent);
            expect([caller, service, outcome.outcome, outcome.by]).toEqual([caller, service, expected ? 'reaches' : 'denied', outcome.by]);
            if (expected) expect(new Set(servicesReached(simulation, outcome))).toEqual(new Set([service]));
          }
        }
      }),
      { numRuns: 2 * RUNS },
    );
  });

  test('whatever chains do: nobody gets anywhere that intentions do not let them, and a denied name leads nowhere', () => {
    fc.assert(
      fc.property(randomMesh(), request, (file, sent) => {
        const simulation = simulationOf(file);
        const { mesh } = simulation;
        for (const { service: caller, serviceId, captures } of simulation.sidecars) {
          if (!captures) continue;
          for (const [service, address] of virtualIpsOf(mesh)) {
            const outcome = simulation.call({ from: serviceId, to: `${address}:80`, ...sent });
            if (outcome.outcome === 'denied') continue;
            expect([caller, service, knowsTheWay(mesh, caller, service)]).toEqual([caller, service, true]);
            const arrived = { ...sent, path: outcome.request?.path ?? '', headers: withoutOurs(outcome.request?.headers ?? {}) };
            for (const reached of servicesReached(simulation, outcome)) {
              if (!hasSidecar(mesh, reached)) continue;
              expect([caller, reached, mayReach(mesh, caller, reached, arrived)]).toEqual([caller, reached, true]);
            }
          }
        }
      }),
      { numRuns: 2 * RUNS },
    );
  });
});

describe('by the address of an instance', () => {
  test('plaintext never gets to an application in the mesh, and who is denied does not get on the wire', () => {
    fc.assert(
      fc.property(randomMesh(), request, (file, sent) => {
        const simulation = simulationOf(file);
        const { mesh } = simulation;
        for (const caller of simulation.sidecars.filter(({ captures }) => captures)) {
          for (const target of simulation.sidecars.filter(({ address }) => address !== caller.address)) {
            if (!isAlone(mesh, target.address)) continue;
            const to = target.address.includes(':') ? `[${target.address}]:8080` : `${target.address}:8080`;
            const outcome = simulation.call({ from: caller.serviceId, to, ...sent });
            if (outcome.outcome === 'reaches' && target.captures && !isPermissive(mesh, target.service)) {
              expect(outcome.cluster).toMatch(/^passthrough~/);
              expect([caller.service, target.service, mayReach(mesh, caller.service, target.service, sent)]).toEqual([caller.service, target.service, true]);
            }
            const { dialedDirectly } = resolveProxySettings(simulation.topology.entries, target.instance);
            const mayTry = knowsTheWay(mesh, caller.service, target.service) || caller.service === target.service;
            if (dialedDirectly && !mayTry && !isNamedUpstream(mesh, caller.service)) expect(outcome.cluster ?? 'denied').toBe('denied');
          }
        }
      }),
      { numRuns: 2 * RUNS },
    );
  });
});

/** A service by this name, with nothing that makes its virtual IP mean something else. */
function isPlain({ mesh }: Simulation, caller: string, service: string): boolean {
  const { configEntries } = mesh;
  const overridden = configEntries.get('service-defaults', caller)?.upstream_config;
  const external = configEntries.get('service-defaults', service)?.external_sni;
  const gateways = configEntries.ofKind('terminating-gateway').some(({ services }) => services.some(({ name }) => name === service));
  return virtualIpsOf(mesh).has(service) && !overridden && !external && !gateways && hasSidecar(mesh, service) && !isNamedUpstream(mesh, caller);
}

/** An explicit upstream may set a protocol of its own and so change what its virtual IP means. */
function isNamedUpstream(mesh: Mesh, caller: string): boolean {
  return mesh.instances.some(({ proxy }) => proxy?.destination_service_name === caller && proxy.upstreams.length > 0);
}

function hasSidecar(mesh: Mesh, service: string): boolean {
  return meshInstances(mesh, service).every(({ proxy }) => proxy) && meshInstances(mesh, service).length > 0;
}

function isHealthy(mesh: Mesh, service: string): boolean {
  return meshInstances(mesh, service).some(({ health }) => health !== 'critical');
}

function meshInstances(mesh: Mesh, service: string): Mesh['instances'] {
  return mesh.instances.filter(
    ({ proxy, connectNative, service: own }) => (proxy && proxy.destination_service_name === service) || (connectNative && own === service),
  );
}

function isAlone(mesh: Mesh, address: string): boolean {
  return mesh.instances.filter((instance) => instance.kind === '' && reachableAddress(instance) === address).length === 1;
}

function isPermissive({ configEntries }: Mesh, service: string): boolean {
  return configEntries.get('service-defaults', service)?.mutual_tls_mode === 'permissive';
}

/** What the public listener adds after authorization. */
function withoutOurs({ 'x-forwarded-client-cert': _caller, ...headers }: Readonly<Record<string, string>>): Record<string, string> {
  return headers;
}
