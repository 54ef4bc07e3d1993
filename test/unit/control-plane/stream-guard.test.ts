import { describe, expect, it } from 'vitest';
import { createConsulVerifier, type TokenVerdict } from '../../../src/control-plane/consul-token-check.ts';
import { StreamGuard } from '../../../src/control-plane/stream-guard.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { assembleConsulMesh } from '../../../src/sources/consul/assemble-consul-mesh.ts';
import { CatalogReader } from '../../../src/sources/consul/catalog-reader.ts';
import { buildTopology } from '../../../src/topology/build-topology.ts';

const sidecar = (service: string) => ({ Kind: 'connect-proxy', ID: 'p', Service: 'p', Port: 1, Proxy: { DestinationServiceName: service } });
const topologyWith = (...services: object[]) => {
  const { instances } = new CatalogReader().read([{ Node: 'vm', Address: '10.0.0.1', Services: services }], []);
  const cluster = { datacenter: 'dc1', defaultIntentionPolicy: 'deny', aclsEnabled: true, version: '1' } as const;
  const mesh = assembleConsulMesh({ cluster, roots: { trustDomain: 't', roots: [] }, instances, entries: [], virtualIps: new Map(), problems: [] });
  return buildTopology(mesh, { trustDomain: 't', virtualIps: new Map() });
};

/** A guard in front of a directory that only notes who is attached. */
function setUp(acls: boolean | 'not said yet' = true) {
  const clock = new ManualClock();
  const state = { acls: acls === 'not said yet' ? undefined : acls, verdicts: new Map<string, TokenVerdict>(), asked: [] as string[] };
  const attached: string[] = [];
  const guard = new StreamGuard({
    verifier: createConsulVerifier(async (token, service) => {
      state.asked.push(`${token} ${service}`);
      return state.verdicts.get(`${token} ${service}`) ?? 'denied';
    }),
    required: () => state.acls,
    waitingFor: 'Consul has not been read yet',
    clock,
    logger: silentLogger,
  });
  const directory = guard.admit({
    connect: ({ token = 'none' }) => {
      attached.push(token);
      return { close: () => void attached.splice(attached.indexOf(token), 1) };
    },
  });
  const connect = (token?: string) => {
    const ends: string[] = [];
    const node = { id: 'p', ipv6: false, peer: 'peer', ...(token === undefined ? {} : { token }) };
    const connection = directory.connect(node, { update() {}, end: (code, message) => void ends.push(`${code}: ${message}`) });
    return { ends, close: connection.close };
  };
  const serve = async (...services: object[]) => {
    guard.before(topologyWith(...services));
    guard.after();
    await settled();
  };
  return { clock, state, attached, connect, serve, guard };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('operators are told', () => {
  it('what a stream that is held waits for', async () => {
    const { state, connect, serve, guard } = setUp('not said yet');
    const reasons = () => guard.held().map(({ id, reason }) => `${id}: ${reason}`);
    connect('good');
    expect(reasons()).toEqual(['p: Consul has not been read yet']);
    state.acls = true;
    await serve();
    expect(reasons()).toEqual(["p: no proxy 'p' is registered"]);
    state.verdicts.set('good web', 'allowed');
    const serving = serve(sidecar('web'));
    expect(reasons()).toEqual(['p: it is being checked whether it is web']);
    await serving;
    expect(reasons()).toEqual([]);
  });

  it('of the last refusal, until the proxy is served or ten minutes have passed', async () => {
    const { clock, state, connect, serve, guard } = setUp();
    await serve(sidecar('web'));
    const refused = async () => {
      connect('bad');
      await settled();
      return guard.refusals().map(({ id, peer, reason }) => `${id} at ${peer}: ${reason}`);
    };
    expect(await refused()).toEqual(['p at peer: the token of p may not write the service web, or is no token of this Consul']);
    expect(await refused()).toHaveLength(1);
    state.verdicts.set('good web', 'allowed');
    connect('good');
    await settled();
    expect(guard.refusals()).toEqual([]);
    expect(await refused()).toHaveLength(1);
    clock.advance(10 * 60_000);
    expect(guard.refusals()).toEqual([]);
  });
});

describe('with ACLs a sidecar', () => {
  it('is served once Consul says that its token may write its service', async () => {
    const { state, attached, connect, serve } = setUp();
    state.verdicts.set('good web', 'allowed');
    await serve(sidecar('web'));
    const { ends } = connect('good');
    expect(attached).toEqual([]);
    await settled();
    expect(attached).toEqual(['good']);
    expect(ends).toEqual([]);
  });

  it('waits until it is registered, and is asked about only then', async () => {
    const { state, attached, connect, serve } = setUp();
    state.verdicts.set('good web', 'allowed');
    await serve();
    connect('good');
    await settled();
    expect([state.asked, attached]).toEqual([[], []]);
    await serve(sidecar('web'));
    expect(attached).toEqual(['good']);
  });

  it.each([
    ['bad', 'PERMISSION_DENIED: the token of p may not write the service web, or is no token of this Consul'],
    [undefined, 'PERMISSION_DENIED: p presents no token: give one with service:write on web (adsum envoy --token-file, CONSUL_HTTP_TOKEN)'],
  ])('with the token %s is refused', async (token, words) => {
    const { attached, connect, serve } = setUp();
    await serve(sidecar('web'));
    const { ends } = connect(token);
    await settled();
    expect([ends, attached]).toEqual([[words], []]);
  });

  it('loses its stream within a minute when its token is revoked; streams of good tokens live on', async () => {
    const { clock, state, attached, connect, serve } = setUp();
    state.verdicts.set('one web', 'allowed').set('two web', 'allowed');
    await serve(sidecar('web'));
    const [first, second] = [connect('one'), connect('two')];
    await settled();
    state.verdicts.delete('one web');
    clock.advance(60_000);
    await settled();
    expect(first.ends).toEqual([expect.stringMatching(/^PERMISSION_DENIED/)]);
    expect([second.ends, attached]).toEqual([[], ['two']]);
  });

  it('keeps what was found while Consul cannot be asked; an unknown token waits for Consul', async () => {
    const { clock, state, attached, connect, serve } = setUp();
    state.verdicts.set('good web', 'allowed');
    await serve(sidecar('web'));
    const known = connect('good');
    await settled();
    state.verdicts.set('good web', 'unknown').set('new web', 'unknown');
    clock.advance(60_000);
    await settled();
    const [again, unknown] = [connect('good'), connect('new')];
    await settled();
    expect(attached).toEqual(['good', 'good']);
    expect([known.ends, again.ends]).toEqual([[], []]);
    expect(unknown.ends).toEqual([expect.stringMatching(/^UNAVAILABLE/)]);
  });

  it('that is registered anew for another service gets nothing of it with the old permission', async () => {
    const { state, attached, connect, serve } = setUp();
    state.verdicts.set('good web', 'allowed');
    await serve(sidecar('web'));
    const { ends } = connect('good');
    await settled();
    await serve(sidecar('bank'));
    expect([ends, attached]).toEqual([[expect.stringMatching(/^PERMISSION_DENIED: p stands for bank on vm now/)], []]);
  });

  it('that goes away while it is checked is not attached', async () => {
    const { state, attached, connect, serve } = setUp();
    state.verdicts.set('good web', 'allowed');
    await serve(sidecar('web'));
    connect('good').close();
    await settled();
    expect(attached).toEqual([]);
  });
});

it('without ACLs everybody is served, and nobody before Consul has said so', async () => {
  const { state, attached, connect, serve } = setUp('not said yet');
  connect();
  await settled();
  expect(attached).toEqual([]);
  state.acls = false;
  await serve();
  expect([attached, state.asked]).toEqual([['none'], []]);
});

it('ACLs switched on later hold for streams that are served already', async () => {
  const { clock, state, attached, connect, serve } = setUp(false);
  await serve(sidecar('web'));
  const { ends } = connect('bad');
  expect(attached).toEqual(['bad']);
  state.acls = true;
  clock.advance(60_000);
  await settled();
  expect([ends.length, attached]).toEqual([1, []]);
});
