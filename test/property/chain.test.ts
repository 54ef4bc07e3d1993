import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chainClusters, tcpClusterOf } from '../../src/envoy/chain-cluster.ts';
import { buildUpstreamRoutes, usesRds } from '../../src/envoy/route.ts';
import { parseInstanceFilter } from '../../src/mesh/instance-filter/instance-filter.ts';
import { ConfigEntries } from '../../src/mesh/mesh.ts';
import { configEntrySchemas } from '../../src/mesh/schema/config-entry.ts';
import { encode } from '../../src/proto/codec.ts';
import { compileDiscoveryChain } from '../../src/topology/discovery-chain/compile.ts';
import { isHttp } from '../../src/topology/proxy-settings.ts';

const SERVICES = ['a', 'b', 'c', 'd'] as const;
const service = fc.constantFrom(...SERVICES);
const subset = fc.constantFrom('v1', 'v2');
const place = fc.record({ service, service_subset: subset }, { requiredKeys: [] });
const elsewhere = fc.oneof(place, fc.record({ service, datacenter: fc.constantFrom('dc1', 'dc2') }, { requiredKeys: [] }));

const resolver = fc.record(
  {
    kind: fc.constant('service-resolver'),
    name: service,
    subsets: fc.dictionary(subset, fc.constant({ filter: 'Service.Meta.version == v1' })),
    default_subset: subset,
    redirect: elsewhere,
    failover: fc.dictionary(fc.constantFrom('*', 'v1'), fc.record({ targets: fc.array(elsewhere, { maxLength: 3 }) })),
    load_balancer: fc.record({ policy: fc.constantFrom('random', 'maglev', 'ring_hash') }),
  },
  { requiredKeys: ['kind', 'name'] },
);
const splitter = fc.record({
  kind: fc.constant('service-splitter'),
  name: service,
  splits: fc.array(place, { minLength: 1, maxLength: 3 }).map((places) => places.map((where) => ({ ...where, weight: 100 / places.length }))),
});
const router = fc.record({
  kind: fc.constant('service-router'),
  name: service,
  routes: fc.array(fc.record({ destination: place }, { requiredKeys: [] }), { maxLength: 3 }),
});
const defaults = fc.record({ kind: fc.constant('service-defaults'), name: service, protocol: fc.constantFrom('http', 'http', 'tcp') });
const proxyDefaults = fc.record({ kind: fc.constant('proxy-defaults'), config: fc.record({ protocol: fc.constantFrom('http', 'http', 'tcp') }) });

const entries = fc
  .tuple(proxyDefaults, fc.array(fc.oneof(resolver, splitter, router, { arbitrary: defaults, weight: 1 }), { maxLength: 8 }))
  .map(([first, rest]) => new ConfigEntries([first, ...rest].map((entry) => configEntrySchemas[entry.kind as 'service-router'].parse(entry))));

const overrides = fc.record({ protocol: fc.constantFrom('tcp', 'http'), connect_timeout_ms: fc.constantFrom(5000, 900) }, { requiredKeys: [] });

describe('random chains', () => {
  test('compile or are refused with a problem; every cluster that routes name exists, and so does every member of a failover', () => {
    fc.assert(
      fc.property(entries, overrides, (configEntries, chosen) => {
        for (const name of SERVICES) {
          const request = { service: name, entries: configEntries, datacenter: 'dc1', trustDomain: 'td.consul', overrides: chosen };
          const { chain, problems } = compileDiscoveryChain(request);
          expect(chain === undefined).toBe(problems.some(({ severity }) => severity === 'error'));
          if (!chain) continue;
          expect(compileDiscoveryChain(request)).toEqual({ chain, problems });
          const clusters = chainClusters(chain);
          const names = new Set(clusters.map((cluster) => cluster.name));
          expect(names.size).toBe(clusters.length);
          for (const cluster of clusters) if (cluster.type === 'failover') expect(cluster.members.every((member) => names.has(member))).toBe(true);
          if (usesRds(chain)) {
            const routes = buildUpstreamRoutes(chain, { routeConfig: name, virtualHost: name });
            encode('envoy.config.route.v3.RouteConfiguration', routes);
            for (const match of JSON.stringify(routes).matchAll(/"(?:cluster|name)":"([^"]*\.internal\.[^"]*)"/g)) expect(names).toContain(match[1]);
          } else if (!isHttp(chain.protocol)) {
            expect(names).toContain(tcpClusterOf(chain));
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test('filters never throw, whatever is written', () => {
    const word = fc.constantFrom(
      'Service.Meta.v',
      'Service.Tags',
      'and',
      'or',
      'not',
      'in',
      'is',
      'empty',
      '==',
      '!=',
      '(',
      ')',
      '"x"',
      '`',
      '"',
      'v1',
      '1',
      '[',
      ' ',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word).map((words) => words.join(' ')),
        ),
        (text) => {
          expect(typeof parseInstanceFilter(text).matches).toBe('function');
        },
      ),
      { numRuns: 2000 },
    );
  });
});
