import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Hostile, VIEWS, withSettings } from '../../property/hostile-settings.ts';
import { openChains } from '../../property/open-chains.ts';

/**
 * A builder that loses the authorization, the tokens, the TLS or the secret of a listener lets nobody in: either the listener denies, or nothing is
 * built and so nothing is sent. Each part fails in every way that a bug may make it fail.
 */

const PARTS: readonly [module: string, part: string][] = [
  ['rbac', 'buildNetworkRbac'],
  ['rbac', 'buildHttpRbac'],
  ['jwt-authn', 'buildJwtAuthn'],
  ['tls-context', 'buildDownstreamTls'],
  ['caller-sans', 'callerSanMatchers'],
  ['public-listener', 'authorizationFilters'],
  ['closed-chain', 'closedListener'],
];
const FAILURES: readonly [how: string, part: () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('injected');
    },
  ],
  ['gives nothing', () => undefined],
  ['gives an empty object', () => ({})],
  ['gives an empty list', () => []],
  [
    'gives rules that say nothing',
    () => ({ name: 'envoy.filters.http.rbac', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC' } }),
  ],
  [
    'gives TLS without certificates',
    () => ({ name: 'tls', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext' } }),
  ],
];

const HATCH = JSON.stringify({
  name: 'public_listener:0.0.0.0:21000',
  address: { socket_address: { address: '0.0.0.0', port_value: 21_000 } },
  filter_chains: [
    {
      filters: [
        {
          name: 't',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', stat_prefix: 'x', cluster: 'local_app' },
        },
      ],
    },
  ],
});
const SETTINGS = VIEWS.flatMap((_view, view): Hostile[] => [
  { view, extensions: [], config: {}, upstream: {} },
  { view, extensions: [], config: { envoy_public_listener_json: HATCH }, upstream: {} },
]);
const WEB = { identity: 'spiffe://t.consul/ns/default/dc/dc1/svc/web', method: 'GET', path: '/secret' };
const NOBODY = { identity: undefined, method: 'GET', path: '/secret' };

afterEach(() => {
  for (const [module] of PARTS) vi.doUnmock(`../../../src/envoy/${module}.ts`);
  vi.resetModules();
});

describe.each(PARTS)('%s: %s', (module, part) => {
  test.each(FAILURES)('%s', async (_how, failure) => {
    vi.resetModules();
    vi.doMock(`../../../src/envoy/${module}.ts`, async (importOriginal) => ({ ...(await importOriginal<object>()), [part]: failure }));
    const { buildResources, buildCallerSans } = await import('../../../src/envoy/build-resources.ts');
    const { buildCallersSecret } = await import('../../../src/envoy/secret.ts');
    for (const settings of SETTINGS) {
      const view = withSettings(settings);
      const sent = attempt(() => buildResources(view, { ipv6: false }).resources);
      const secret = attempt(() => buildCallersSecret(['root'], buildCallerSans(view) ?? []));
      if (!sent) continue;
      const sans = secret?.body.validation_context?.match_typed_subject_alt_names ?? [];
      for (const intruder of [WEB, NOBODY]) expect(attempt(() => openChains(view, sent, intruder, sans)) ?? [], JSON.stringify(settings)).toEqual([]);
    }
  });
});

/** What is not built, or cannot be encoded, is not sent. */
function attempt<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
