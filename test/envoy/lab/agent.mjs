// Runs inside a host's namespace as its application: serves, dials and makes constant traffic on command.
// One JSON object per line in ({id, operation, ...}) and out ({id, result} or {id, error}). Ends when stdin does.
import dns from 'node:dns';
import http from 'node:http';
import net from 'node:net';
import readline from 'node:readline';
import tls from 'node:tls';

const resolver = new dns.promises.Resolver({ timeout: 1000, tries: 3 });
if (process.env.LAB_DNS) resolver.setServers([process.env.LAB_DNS]);

const servers = new Map();
const connections = new Map();
const traffics = new Map();
let lastId = 0;

const operations = {
  ping: async () => 'pong',
  resolve,
  http: requestOnce,
  pollHttp,
  tcp: exchangeOnce,
  pollTcp,
  open,
  exchange,
  close,
  listen,
  received,
  unlisten,
  startTraffic,
  readTraffic,
  stopTraffic,
};

readline
  .createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, operation, ...args } = JSON.parse(line);
    try {
      reply({ id, result: await operations[operation](args) });
    } catch (error) {
      reply({ id, error: String(error?.stack ?? error) });
    }
  })
  .on('close', () => process.exit(0));

function reply(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

// --- names ---------------------------------------------------------------------------------------------------------------

async function resolve({ name, type = 'A', server }) {
  const asked = server ? new dns.promises.Resolver({ timeout: 1000, tries: 3 }) : resolver;
  if (server) asked.setServers([server]);
  try {
    return { answers: await asked.resolve(name, type) };
  } catch (error) {
    return { answers: [], error: error.code };
  }
}

async function addressOf(host) {
  if (net.isIP(host)) return host;
  const [address] = await resolver.resolve4(host);
  return address;
}

// --- HTTP ----------------------------------------------------------------------------------------------------------------

/** `path` is sent as it is written: no library may tidy it up. */
async function requestOnce({ host, port = 80, path = '/', method = 'GET', headers = {}, body, timeoutMs = 5000, agent = false }) {
  const startedMs = performance.now();
  const ms = () => Math.round((performance.now() - startedMs) * 10) / 10;
  let address;
  try {
    address = await addressOf(host);
  } catch (error) {
    return { error: error.code, ms: ms() };
  }
  return new Promise((resolve) => {
    const request = http.request({ host: address, port, method, path, agent, headers: { host, ...headers }, timeout: timeoutMs });
    request.on('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })));
    request.on('error', (error) => resolve({ error: error.code ?? error.message, ms: ms() }));
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', (error) => resolve({ error: error.code ?? error.message, ms: ms() }));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text, ms: ms(), reused: request.reusedSocket }));
    });
    request.end(body);
  });
}

/** Requests again and again on new connections until the outcome is the wanted one; `afterMs` counts from `sinceMs` (epoch). */
async function pollHttp({ wantStatus, wantRefusal = false, bodyHas, sinceMs, deadlineMs = 120_000, pauseMs = 1, ...request }) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const outcome = await requestOnce(request);
    // The caller's sidecar closes the connection, the destination's says 403; a timeout is no refusal.
    const refused = outcome.status === 403 || ['ECONNRESET', 'ECONNREFUSED'].includes(outcome.error);
    const fits = wantRefusal ? refused : outcome.status === wantStatus && (bodyHas === undefined || outcome.body.includes(bodyHas));
    if (fits) return { ...outcome, afterMs: Date.now() - sinceMs };
    if (Date.now() > end) throw new Error(`the last outcome was ${JSON.stringify(outcome)}`);
    await new Promise((done) => setTimeout(done, pauseMs));
  }
}

// --- TCP and TLS ---------------------------------------------------------------------------------------------------------

async function dial({ host, port, tls: tlsOptions, timeoutMs = 3000 }) {
  const address = await addressOf(host);
  const state = { received: '', end: undefined, error: undefined, connected: false, secured: false };
  const socket = tlsOptions
    ? tls.connect({ host: address, port, rejectUnauthorized: false, checkServerIdentity: () => undefined, ...tlsOptions })
    : net.connect({ host: address, port });
  state.socket = socket;
  state.changed = () => {};
  const change = (fields) => {
    Object.assign(state, fields);
    state.changed();
  };
  socket.setNoDelay(true);
  socket.setTimeout(timeoutMs);
  socket.on('connect', () => change({ connected: true }));
  socket.on('secureConnect', () => change({ secured: true, peer: socket.getPeerX509Certificate()?.toString() }));
  socket.on('data', (chunk) => change({ received: state.received + chunk.toString('latin1') }));
  socket.on('end', () => change({ end: 'fin' }));
  socket.on('error', (error) => change({ end: 'error', error: error.code ?? error.message }));
  socket.on('close', () => change({ end: state.end ?? 'closed' }));
  return state;
}

function waitUntil(state, isDone, timeoutMs) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(false), timeoutMs);
    const finish = (done) => {
      clearTimeout(timer);
      state.changed = () => {};
      resolve(done);
    };
    state.changed = () => {
      if (isDone()) finish(true);
    };
    state.changed();
  });
}

/** One connection: sends `send` (if any), waits for `expect` in what comes back, for the end, or for the timeout. */
async function exchangeOnce({ host, port, send, expect, tls: tlsOptions, timeoutMs = 3000 }) {
  const startedMs = performance.now();
  let state;
  try {
    state = await dial({ host, port, tls: tlsOptions, timeoutMs: timeoutMs + 1000 });
  } catch (error) {
    return { connected: false, secured: false, received: '', end: 'error', error: error.code, ms: 0 };
  }
  if (send !== undefined) state.socket.write(send, 'latin1');
  const done = await waitUntil(state, () => state.end !== undefined || (expect !== undefined && state.received.includes(expect)), timeoutMs);
  const { connected, secured, peer, received, end, error } = state;
  state.socket.destroy();
  return { connected, secured, peer, received, end: end ?? (done ? 'open' : 'timeout'), error, ms: Math.round((performance.now() - startedMs) * 10) / 10 };
}

/** Dials again and again until something is received (`want: 'bytes'`) or the peer ends it without a byte (`want: 'refusal'`). */
async function pollTcp({ want, sinceMs, deadlineMs = 120_000, pauseMs = 1, ...request }) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const outcome = await exchangeOnce(request);
    const refused = isNothing(outcome.received) && ['fin', 'error', 'closed'].includes(outcome.end);
    if (want === 'bytes' ? outcome.received !== '' : refused) return { ...outcome, afterMs: Date.now() - sinceMs };
    if (Date.now() > end) throw new Error(`the last outcome was ${JSON.stringify(outcome)}`);
    await new Promise((done) => setTimeout(done, pauseMs));
  }
}

/** No byte of an application: at most one alert, with which the sidecar ends a conversation that is no TLS. */
function isNothing(received) {
  return received === '' || (received.startsWith('\x15\x03') && received.length === 7);
}

/** A connection that stays open between commands. */
async function open({ host, port, expect, timeoutMs = 3000 }) {
  const state = await dial({ host, port, timeoutMs: 3_600_000 });
  await waitUntil(state, () => state.end !== undefined || (expect === undefined ? state.connected : state.received.includes(expect)), timeoutMs);
  const id = ++lastId;
  connections.set(id, state);
  return { connection: id, received: state.received, end: state.end };
}

async function exchange({ connection, send, timeoutMs = 3000 }) {
  const state = connections.get(connection);
  const before = state.received.length;
  state.socket.write(send, 'latin1');
  await waitUntil(state, () => state.end !== undefined || state.received.slice(before).includes(send), timeoutMs);
  return { received: state.received.slice(before), end: state.end, error: state.error };
}

async function close({ connection }) {
  connections.get(connection).socket.destroy();
  connections.delete(connection);
}

// --- servers -------------------------------------------------------------------------------------------------------------

/** kind http: answers with what it saw, as JSON, after `x-lab-delay-ms`. kind banner: speaks first, then echoes. Both note every connection and byte. */
async function listen({ kind, name, port, address = '::' }) {
  const seen = { connections: 0, bytes: '' };
  const note = (chunk) => {
    seen.bytes = (seen.bytes + chunk.toString('latin1')).slice(-65_536);
  };
  const sockets = new Set();
  const server = kind === 'http' ? http.createServer(echoRequest(name)) : net.createServer((socket) => greet(socket, name, note));
  if (kind === 'http') server.keepAliveTimeout = 3_600_000;
  server.on('connection', (socket) => {
    seen.connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (kind === 'http') socket.prependListener('data', note);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
  servers.set(port, { server, seen, sockets });
}

function echoRequest(name) {
  return (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      const answer = JSON.stringify({ name, method: request.method, path: request.url, headers: request.headers, raw_headers: request.rawHeaders, body });
      setTimeout(() => response.end(answer), Number(request.headers['x-lab-delay-ms'] ?? 0));
    });
  };
}

function greet(socket, name, note) {
  socket.on('error', () => {});
  socket.write(`banner of ${name}\n`);
  socket.on('data', (chunk) => {
    note(chunk);
    socket.write(chunk);
  });
}

async function received({ port }) {
  return servers.get(port).seen;
}

async function unlisten({ port }) {
  const { server, sockets } = servers.get(port);
  servers.delete(port);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}

// --- constant traffic ----------------------------------------------------------------------------------------------------

/** kind: http (a connection each), http-keepalive (one connection), tcp (a connection each), tcp-long (one connection, for ever). */
async function startTraffic({ kind, pauseMs = 5, ...target }) {
  const id = ++lastId;
  const traffic = { count: 0, connections: 0, failures: [], running: true };
  traffics.set(id, traffic);
  const step = steps[kind](target, traffic);
  traffic.done = (async () => {
    while (traffic.running) {
      const failure = await step();
      traffic.count += 1;
      if (failure !== undefined) traffic.failures.push({ atMs: Date.now(), reason: failure });
      await new Promise((done) => setTimeout(done, pauseMs));
    }
  })();
  return id;
}

const steps = {
  http: (target, traffic) => async () => {
    traffic.connections += 1;
    return httpFailure(await requestOnce(target));
  },
  'http-keepalive': (target, traffic) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    return async () => {
      const outcome = await requestOnce({ ...target, agent });
      if (!outcome.reused) traffic.connections += 1;
      return httpFailure(outcome);
    };
  },
  tcp: (target, traffic) => async () => {
    traffic.connections += 1;
    const outcome = await exchangeOnce({ ...target, send: 'ping\n', expect: 'ping\n' });
    return outcome.received.includes('ping\n') ? undefined : JSON.stringify(outcome);
  },
  'tcp-long': (target, traffic) => {
    let connection;
    return async () => {
      if (connection === undefined) {
        traffic.connections += 1;
        ({ connection } = await open({ ...target, expect: 'banner' }));
      }
      const send = `ping ${traffic.count}\n`;
      const outcome = await exchange({ connection, send });
      if (outcome.received === send) return undefined;
      connection = undefined;
      return JSON.stringify(outcome);
    };
  },
};

function httpFailure(outcome) {
  return outcome.status === 200 ? undefined : JSON.stringify({ status: outcome.status, error: outcome.error, body: outcome.body });
}

async function readTraffic({ traffic }) {
  const { count, connections: made, failures } = traffics.get(traffic);
  return { count, connections: made, failures };
}

async function stopTraffic({ traffic }) {
  const state = traffics.get(traffic);
  state.running = false;
  await state.done;
  traffics.delete(traffic);
  return { count: state.count, connections: state.connections, failures: state.failures };
}
