// A fleet of sidecars as a control plane sees it: each a connection and an ADS stream of its own, subscribed and acknowledging as Envoy is.
// Forked by run.mjs, which sends commands; see `commands` at the end.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import { numberIn } from './wire.mjs';

const deps = path.join(path.dirname(fileURLToPath(import.meta.resolve('@grpc/grpc-js-xds/package.json'))), 'deps');
const includeDirs = ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'].map((folder) => path.join(deps, folder));
const definition = protoLoader.loadSync('envoy/service/discovery/v3/ads.proto', { includeDirs, keepCase: true, defaults: false, longs: Number });
const service = definition['envoy.service.discovery.v3.AggregatedDiscoveryService'];

/** Both variants, and the fields of their requests that the bare transport looks at. */
export const METHODS = {
  delta: { ...service.DeltaAggregatedResources, nodeField: 1, typeField: 2, nonceField: 6 },
  sotw: { ...service.StreamAggregatedResources, nodeField: 2, typeField: 4, nonceField: 5 },
};

const TYPE = {
  CDS: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  EDS: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  LDS: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  SDS: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
};
/** The name of endpoints that nobody has. */
const PROBE = 'bench-probe';
const EVERYTHING_OF = new Set([TYPE.CDS, TYPE.LDS]);

/** What clusters and listeners lead to; the mesh of the benchmark has no other references. */
const SECRETS = ['leaf', 'roots', 'callers'].map((secret) => [
  secret,
  Buffer.concat([Buffer.from([10, secret.length]), Buffer.from(secret), Buffer.from([18])]),
]);
/** `Cluster.type` and its value EDS. */
const CLUSTER_TYPE = 2;
const EDS_CLUSTER = 3;

/** Equal bytes are one string, so that comparing costs nothing, and are searched for references once. */
const known = new Map();
function study(type, name, bytes) {
  const text = bytes.toString('latin1');
  let found = known.get(text);
  if (!found) {
    const secrets = type === TYPE.CDS || type === TYPE.LDS ? SECRETS.filter(([, pattern]) => bytes.includes(pattern)).map(([secret]) => secret) : [];
    // Endpoints have the name of their cluster.
    const isEds = type === TYPE.CDS && numberIn(bytes, CLUSTER_TYPE) === EDS_CLUSTER;
    found = { text, secrets, endpoints: isEds ? [name] : [] };
    known.set(text, found);
  }
  return found;
}

/** What the whole fleet received since `mark`. */
let seen = { startMs: performance.now(), resources: 0, unchanged: 0, removed: 0, bytes: 0, lastMs: 0 };
const ended = { streams: 0, reasons: new Set() };

class Sidecar {
  constructor(proxy) {
    this.proxy = proxy;
    /** By type: what it holds, name → study. */
    this.held = new Map(Object.values(TYPE).map((type) => [type, new Map()]));
    this.versions = new Map(Object.values(TYPE).map((type) => [type, new Map()]));
  }

  connect(target, variant, recorded) {
    const { path: method, requestSerialize, responseDeserialize } = METHODS[variant];
    // It has come back already: its connection was cut while it waited to.
    if (this.stream) return;
    this.variant = variant;
    this.wanted = new Map([
      [TYPE.EDS, new Set()],
      [TYPE.SDS, new Set()],
    ]);
    this.answered = new Set();
    this.firstListenersMs = undefined;
    this.readyMs = undefined;
    this.lastMs = undefined;
    this.client = new grpc.Client(target, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    const stream = this.client.makeBidiStreamRequest(method, requestSerialize, (bytes) => ({
      bytes,
      message: responseDeserialize(bytes),
    }));
    this.stream = stream;
    stream.on('error', () => {});
    // A stream that this side cancels is no longer `this.stream`. Any other end is noted, and the sidecar comes back as Envoy does.
    stream.on('status', ({ code, details }) => {
      if (this.stream !== stream) return;
      ended.streams += 1;
      ended.reasons.add(`${code} ${details}`);
      this.disconnect();
      setTimeout(() => this.connect(target, variant, recorded), 250);
    });
    stream.on('data', ({ bytes, message }) => {
      if (this.stream === stream) this.take(bytes, message, recorded);
    });
    const node = {
      id: this.proxy.id,
      cluster: 'bench',
      user_agent_name: 'envoy',
      metadata: { fields: { node_name: { stringValue: this.proxy.node, kind: 'stringValue' } } },
    };
    this.ask(TYPE.CDS, { node });
    this.ask(TYPE.LDS, {});
    // Whoever comes back subscribes to everything again; the probe is answered even when nothing differs.
    this.comesBack = this.held.get(TYPE.CDS).size > 0;
    if (this.comesBack) this.follow([PROBE]);
  }

  ask(type, more) {
    if (this.variant === 'sotw') {
      this.stream.write({ type_url: type, resource_names: [...(this.wanted.get(type) ?? [])], ...more });
      return;
    }
    const first = !this.asked?.has(type);
    const initial = first && !more.response_nonce ? Object.fromEntries(this.versions.get(type)) : undefined;
    this.asked = (this.asked ?? new Set()).add(type);
    this.stream.write({ type_url: type, ...(initial && Object.keys(initial).length > 0 && { initial_resource_versions: initial }), ...more });
  }

  take(bytes, message, recorded) {
    const now = performance.now();
    const { type_url: type, nonce, resources = [], removed_resources: removed = [] } = message;
    seen.bytes += bytes.length;
    seen.lastMs = now;
    this.lastMs = now;
    recorded?.add(`${this.proxy.id} ${this.proxy.node}`, type, bytes);
    const held = this.held.get(type);
    const names = new Set();
    for (const resource of resources) {
      const value = this.variant === 'sotw' ? resource.value : resource.resource.value;
      const name = this.variant === 'sotw' ? nameOf(value) : resource.name;
      names.add(name);
      const studied = study(type, name, value);
      seen.resources += 1;
      if (held.get(name) === studied) seen.unchanged += 1;
      // What arrives after the client has let go of its name is ignored, as in Envoy.
      if (this.wanted.get(type)?.has(name) !== false) held.set(name, studied);
      if (this.variant === 'delta') this.versions.get(type).set(name, resource.version);
    }
    const gone = this.variant === 'sotw' && EVERYTHING_OF.has(type) ? [...held.keys()].filter((name) => !names.has(name)) : removed;
    for (const name of gone) {
      if (name !== PROBE) seen.removed += 1;
      held.delete(name);
      this.versions.get(type)?.delete(name);
    }
    this.answered.add(type);
    if (type === TYPE.LDS) this.firstListenersMs ??= now;
    this.ask(type, { response_nonce: nonce, ...(this.variant === 'sotw' && { version_info: message.version_info }) });
    if (EVERYTHING_OF.has(type)) this.follow();
    const isReady = this.comesBack && this.variant === 'delta' ? removed.includes(PROBE) : this.isReady();
    if (this.readyMs === undefined && isReady) this.readyMs = now;
  }

  /** Subscribes to what the clusters and listeners lead to. */
  follow(more = []) {
    const leadTo = [...this.held.get(TYPE.CDS).values(), ...this.held.get(TYPE.LDS).values()];
    for (const [type, names] of [
      [TYPE.EDS, [...leadTo.flatMap(({ endpoints }) => endpoints), ...more, ...(this.wanted.get(TYPE.EDS).has(PROBE) ? [PROBE] : [])]],
      [TYPE.SDS, leadTo.flatMap(({ secrets }) => secrets)],
    ]) {
      const wanted = this.wanted.get(type);
      const fresh = [...new Set(names)].filter((name) => !wanted.has(name));
      const stale = type === TYPE.EDS ? [...wanted].filter((name) => !names.includes(name)) : [];
      // Also what was known from before a reconnect: without its cluster it is nothing.
      const orphans = type === TYPE.EDS ? [...this.held.get(type).keys()].filter((name) => !names.includes(name)) : [];
      for (const name of orphans) {
        this.held.get(type).delete(name);
        this.versions.get(type).delete(name);
      }
      if (fresh.length + stale.length === 0) continue;
      for (const name of fresh) wanted.add(name);
      for (const name of stale) wanted.delete(name);
      this.ask(type, this.variant === 'sotw' ? {} : { resource_names_subscribe: fresh, resource_names_unsubscribe: stale });
    }
  }

  isReady() {
    const has = ([type, names]) => [...names].every((name) => name === PROBE || this.held.get(type).has(name));
    return this.answered.has(TYPE.CDS) && this.answered.has(TYPE.LDS) && [...this.wanted].every(has);
  }

  disconnect() {
    const { stream, client } = this;
    this.stream = undefined;
    this.asked = undefined;
    stream?.cancel();
    client.close();
  }
}

/** The name of a resource is its first field with a length, in all types used here. */
function nameOf(value) {
  return value.subarray(2, 2 + value[1]).toString();
}

class Recording {
  bodies = new Map();
  streams = {};
  add(key, type, bytes) {
    const text = bytes.toString('base64');
    if (!this.bodies.has(text)) this.bodies.set(text, this.bodies.size);
    this.streams[key] ??= {};
    this.streams[key][type] ??= [];
    this.streams[key][type].push(this.bodies.get(text));
  }
}

let fleet = [];
const percentile = (values, share) => values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
const sorted = (values) => values.filter((value) => value !== undefined).sort((a, b) => a - b);

async function quiet(quietMs, limitMs = 120_000) {
  const end = performance.now() + limitMs;
  while (performance.now() - Math.max(seen.lastMs, seen.startMs) < quietMs && performance.now() < end) await new Promise((done) => setTimeout(done, 20));
}

const commands = {
  /** A fleet that connects at once; resolves when all are ready or the limit is over. */
  async connect({ target, proxies, variant, record, again = false, limitMs = 180_000 }) {
    if (!again) fleet = proxies.map((proxy) => new Sidecar(proxy));
    const recording = record ? new Recording() : undefined;
    commands.mark();
    for (const sidecar of fleet) sidecar.connect(target, variant, recording);
    const end = performance.now() + limitMs;
    while (fleet.some(({ readyMs }) => readyMs === undefined) && performance.now() < end) await new Promise((done) => setTimeout(done, 10));
    await quiet(1500);
    if (recording) writeFileSync(record, JSON.stringify({ bodies: [...recording.bodies.keys()], streams: recording.streams }));
    const ready = sorted(fleet.map(({ readyMs }) => readyMs)).map((ms) => ms - seen.startMs);
    const listeners = sorted(fleet.map(({ firstListenersMs }) => firstListenersMs)).map((ms) => ms - seen.startMs);
    return { ...report(), ready: ready.length, t50: percentile(ready, 0.5), t99: percentile(ready, 0.99), firstListeners: listeners[0] ?? 0 };
  },
  disconnect() {
    for (const sidecar of fleet) sidecar.disconnect();
  },
  /** Some of the fleet lose their connections and come back with what they know. */
  reconnectSome({ target, variant, first, count }) {
    for (let i = 0; i < count; i += 1) {
      const sidecar = fleet[(first + i) % fleet.length];
      sidecar.disconnect();
      sidecar.connect(target, variant);
    }
  },
  /** Counts since `mark`, without waiting. */
  report: () => report(),
  /** Begins to count. */
  mark() {
    seen = { startMs: performance.now(), resources: 0, unchanged: 0, removed: 0, bytes: 0, lastMs: 0 };
    for (const sidecar of fleet) sidecar.lastMs = undefined;
  },
  /** Resolves when nothing has come for a while. `expected`: something will, so it is waited for first. */
  async settle({ quietMs = 1200, expected = false }) {
    const end = performance.now() + 60_000;
    while (expected && seen.lastMs === 0 && performance.now() < end) await new Promise((done) => setTimeout(done, 20));
    await quiet(quietMs);
    return report();
  },
  /** What each sidecar holds, as one text, for comparing fleets. */
  state() {
    return fleet.map(({ proxy, held }) => [
      `${proxy.id} ${proxy.node}`,
      [...held].map(([type, names]) => [type, [...names].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { text }]) => [name, text])]),
    ]);
  },
};

function report() {
  const { startMs, ...counts } = seen;
  const affected = sorted(fleet.map(({ lastMs }) => lastMs)).map((ms) => ms - startMs);
  return {
    ...counts,
    lastMs: affected.at(-1) ?? 0,
    affected: affected.length,
    p50: percentile(affected, 0.5),
    p99: percentile(affected, 0.99),
    ended: ended.streams,
    reasons: [...ended.reasons],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', async ({ id, command, args }) => {
    try {
      process.send({ id, result: (await commands[command](args ?? {})) ?? null });
    } catch (error) {
      process.send({ id, error: String(error?.stack ?? error) });
    }
  });
  process.on('disconnect', () => process.exit(0));
}
