import { describe, expect, test } from 'vitest';
import type { ResourceType } from '../../../src/cache/resource.ts';
import { ResourceCache } from '../../../src/cache/resource-cache.ts';
import { Reconciler } from '../../../src/control-plane/reconciler.ts';
import { refusalProblem } from '../../../src/control-plane/refusal-problem.ts';
import { locateProblem } from '../../../src/mesh/locate-problem.ts';
import { decode } from '../../../src/proto/codec.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { createMetrics } from '../../../src/runtime/metrics.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';
import type { Variant, XdsResponse } from '../../../src/xds/messages.ts';
import { Session } from '../../../src/xds/session.ts';

/** What becomes of the configuration of `api` when its Envoy refuses a part of it. */

const PUBLIC = 'public_listener:0.0.0.0:21000';

interface MeshOptions {
  readonly protocol?: string;
  readonly sources?: string;
  readonly config?: string;
}

function meshOf({ protocol = 'http', sources = '[{ name: web, action: allow }]', config = '{}' }: MeshOptions) {
  const text = `
trust_domain: td.consul
nodes:
  - { name: vm, address: 10.0.0.1, services: [{ name: api, port: 80, connect: { sidecar_service: { proxy: { config: ${config} } } } }] }
  - { name: vm2, address: 10.0.0.2, services: [{ name: web, port: 80 }, { name: bad, port: 81 }] }
config_entries:
  - { kind: service-defaults, name: api, protocol: ${protocol} }
  - { kind: service-intentions, name: api, sources: ${sources} }
`;
  const { mesh, problems } = parseMeshFiles([{ path: 'mesh.yaml', text }]);
  if (!mesh) throw new Error(JSON.stringify(problems));
  return mesh;
}

/** A sidecar whose Envoy accepts everything but what `refuse` says. */
function connect(variant: Variant, options: MeshOptions) {
  const identities = { roots: () => ['root'], leaf: () => ({ certificateChain: 'c', privateKey: 'k' }), use: () => {}, release: () => {} };
  const clock = new ManualClock();
  const reconciler = new Reconciler({ cache: new ResourceCache(), identities, clock, logger: silentLogger, metrics: createMetrics() });
  let mesh = meshOf(options);
  let refuse: (name: string) => string | undefined = () => undefined;
  const inForce = new Map<string, Uint8Array>();
  const responses: XdsResponse[] = [];
  const open = () => {
    const session = new Session(variant, `${responses.length}-`);
    const { proxy, detach } = reconciler.attach({ id: 'api-sidecar-proxy', traits: { ipv6: false } }, subscriber(session));
    const request = (type: ResourceType, more: { nonce?: string; error?: string; subscribe?: string[]; initialVersions?: Map<string, string> } = {}) => {
      const { nonce = '', subscribe = [], initialVersions = new Map() } = more;
      const names = variant === 'delta' ? subscribe : [...(subscribe.length > 0 ? subscribe : (SECRETS_OF[type] ?? []))];
      const message = { type, nonce, subscribe: names, unsubscribe: [], initialVersions, version: '' };
      session.request({ ...message, ...(more.error !== undefined && { error: more.error }) }, clock.now());
      const verdict = session.takeVerdict(type);
      if (verdict) reconciler.answered(proxy, verdict, session);
    };
    return { session, proxy, detach, request };
  };
  const subscriber = (session: Session) => ({ update: (snapshot: Parameters<Session['update']>[0]) => void session.update(snapshot) });
  let stream = open();
  const settle = async () => {
    for (let quiet = 0; quiet < 3; quiet += 1) {
      while (!reconciler.idle) await new Promise((turn) => setImmediate(turn));
      const { response } = stream.session.next(clock.now());
      if (!response) continue;
      quiet = 0;
      responses.push(response);
      const faults: string[] = [];
      for (const { name, bytes } of response.resources) {
        const fault = refuse(name);
        if (fault === undefined) inForce.set(name, bytes);
        else faults.push(fault);
      }
      stream.request(response.type, { nonce: response.nonce, ...(faults.length > 0 && { error: faults.join('; ') }) });
    }
  };
  const subscribe = (versions: Partial<Record<ResourceType, Map<string, string>>> = {}) => {
    for (const type of ['cluster', 'listener'] as const) stream.request(type, { initialVersions: versions[type] ?? new Map() });
    stream.request('secret', { subscribe: ['callers', 'roots', 'leaf'] });
  };
  return {
    async start() {
      reconciler.setTopology(buildTopology(mesh, { trustDomain: 'td.consul', virtualIps: new Map() }));
      subscribe();
      await settle();
    },
    async change(next: MeshOptions) {
      mesh = meshOf({ ...options, ...next });
      reconciler.setTopology(buildTopology(mesh, { trustDomain: 'td.consul', virtualIps: new Map() }));
      await settle();
    },
    async reconnect(versions: Partial<Record<ResourceType, Map<string, string>>>) {
      stream.detach();
      stream = open();
      subscribe(versions);
      await settle();
    },
    refuse: (answer: typeof refuse) => {
      refuse = answer;
    },
    wait: async (ms: number) => {
      await clock.advance(ms);
      await settle();
    },
    sentTimes: (name: string) => responses.filter(({ resources }) => resources.some((one) => one.name === name)).length,
    versionOf: (name: string) => responses.flatMap(({ resources }) => resources).findLast((one) => one.name === name)?.version ?? '',
    chains: () => decode('envoy.config.listener.v3.Listener', inForce.get(PUBLIC) ?? new Uint8Array()).filter_chains ?? [],
    secret: () => decode('envoy.extensions.transport_sockets.tls.v3.Secret', inForce.get('callers') ?? new Uint8Array()),
    problems: () =>
      stream.proxy.refused.list().map((one) => {
        if (!stream.proxy.configuration) throw new Error('no configuration');
        return locateProblem(refusalProblem({ view: stream.proxy.configuration.view, node: 'vm', id: 'api-sidecar-proxy' }, one, mesh), mesh);
      }),
  };
}

const SECRETS_OF: Partial<Record<ResourceType, string[]>> = { secret: ['callers', 'roots', 'leaf'] };

const naming = (name: string) => (one: string) => (one === name ? `Error adding/updating listener(s) ${name}: the regex '/x.*y' is bad` : undefined);

/** Refused as it is sent first. */
function once(name: string): (one: string) => string | undefined {
  let left = 1;
  return (one) => (one === name && left-- > 0 ? naming(name)(one) : undefined);
}

describe.each(['delta', 'sotw'] as const)('%s', (variant) => {
  const deny = '[{ name: web, permissions: [{ action: deny, http: { path_regex: "/x.*y" } }, { action: allow, http: { path_prefix: / } }] }]';

  test('a listener that Envoy refuses together with new rights denies everybody, and says so', async () => {
    const api = connect(variant, {});
    await api.start();
    expect(api.chains()[0]?.filters).toHaveLength(1);
    api.refuse(once(PUBLIC));
    await api.change({ sources: deny });
    expect(api.chains()).toEqual([{}]);
    expect(api.problems()).toMatchObject([
      {
        code: 'envoy-refused',
        severity: 'error',
        message: expect.stringMatching(/does not take listener public_listener:0\.0\.0\.0:21000, so nobody may call the service: .*the regex/),
        place: { object: 'service-intentions/api', file: 'mesh.yaml', line: 8 },
      },
    ]);
    // Nothing is sent again while nothing changes.
    const before = api.sentTimes(PUBLIC);
    await api.wait(60_000);
    expect(api.sentTimes(PUBLIC)).toBe(before);
    // A change that Envoy takes opens it again.
    await api.change({ sources: '[{ name: bad, action: allow }]' });
    expect(api.chains()[0]?.filters).toHaveLength(1);
    expect(api.problems()).toEqual([]);
  });

  test('a listener that is refused for what gives nobody other rights stays as it was', async () => {
    const api = connect(variant, {});
    await api.start();
    const before = api.chains();
    api.refuse(naming(PUBLIC));
    await api.change({ config: '{ local_request_timeout_ms: 17 }' });
    expect(api.chains()).toEqual(before);
    expect(api.problems()).toMatchObject([{ message: expect.stringMatching(/so what it had before stays in force/) }]);
    // But not once the rights change as well.
    api.refuse(once(PUBLIC));
    await api.change({ config: '{ local_request_timeout_ms: 17 }', sources: deny });
    expect(api.chains()).toEqual([{}]);
  });

  test('a form that is refused as well is not tried over and over', async () => {
    const api = connect(variant, {});
    await api.start();
    api.refuse(naming(PUBLIC));
    await api.change({ sources: deny });
    const before = api.sentTimes(PUBLIC);
    await api.wait(60_000);
    expect(api.sentTimes(PUBLIC)).toBe(before);
    expect(api.problems()).toMatchObject([{ code: 'envoy-refused' }]);
  });

  test('callers of a tcp service that Envoy refuses: nobody finishes the handshake', async () => {
    const api = connect(variant, { protocol: 'tcp' });
    await api.start();
    api.refuse(once('callers'));
    await api.change({ sources: '[{ name: bad, action: allow }]' });
    expect(api.secret().validation_context?.match_typed_subject_alt_names).toEqual([{ san_type: 'URI', matcher: { exact: 'nobody:' } }]);
    expect(api.problems()).toMatchObject([{ place: { object: 'service-intentions/api' } }]);
  });

  test('others are taken all the same', async () => {
    const api = connect(variant, {});
    api.refuse((name) => (name === PUBLIC ? naming(PUBLIC)(name) : undefined));
    await api.start();
    expect(api.sentTimes('local_app')).toBe(1);
    expect(api.problems()).toHaveLength(1);
  });
});

test('a stream that comes back with what it has is not closed for what gives nobody other rights', async () => {
  const api = connect('delta', {});
  await api.start();
  const versions = { listener: new Map([[PUBLIC, api.versionOf(PUBLIC)]]), cluster: new Map([['local_app', api.versionOf('local_app')]]) };
  await api.reconnect(versions);
  const before = api.chains();
  api.refuse(naming(PUBLIC));
  await api.change({ config: '{ local_request_timeout_ms: 17 }' });
  expect(api.chains()).toEqual(before);
});

test('a stream that comes back with something older than this control plane knows is closed', async () => {
  const api = connect('delta', {});
  await api.start();
  api.refuse(once(PUBLIC));
  await api.reconnect({ listener: new Map([[PUBLIC, 'of another time']]), cluster: new Map() });
  expect(api.chains()).toEqual([{}]);
});
