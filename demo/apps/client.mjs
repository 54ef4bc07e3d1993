// A small client; prints what happened as one line of JSON and always ends with status 0.
//   node client.mjs http URL | refusal URL | tcp HOST PORT [TEXT] | tls HOST PORT | dns NAME [SERVER]
// refusal asks again and again until it is refused; atMs is when (epoch). A line {"began":true} comes after the first answer.
import dns from 'node:dns';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';

/** Far longer than any answer takes on a busy machine: who waits this long gets none. */
const timeoutMs = 30_000;
const [kind, ...args] = process.argv.slice(2);
const startedMs = performance.now();
const outcome = await { http: request, refusal: askUntilRefused, tcp: (...to) => dial(net, ...to), tls: (...to) => dial(tls, ...to), dns: resolve }[kind](
  ...args,
);
console.log(JSON.stringify({ ...outcome, ms: Math.round(performance.now() - startedMs) }));
process.exit(0);

function request(url) {
  return new Promise((resolve) => {
    const outgoing = http.get(url, { timeout: timeoutMs, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, body: body.trim() }));
      response.on('error', (error) => resolve({ error: error.code }));
    });
    outgoing.on('timeout', () => outgoing.destroy(Object.assign(new Error(), { code: 'TIMEOUT' })));
    outgoing.on('error', (error) => resolve({ error: error.code ?? error.message }));
  });
}

async function askUntilRefused(url) {
  const end = Date.now() + 300_000;
  for (let began = false; ; began = true) {
    const askedMs = Date.now();
    const outcome = await request(url);
    if (!began) console.log(JSON.stringify({ began: true }));
    if (outcome.status !== 200 || Date.now() > end) return { ...outcome, atMs: Date.now(), tookMs: Date.now() - askedMs };
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Sends a line, if one is given, and waits for the first bytes that come back (two lines: greeting and echo), or the end. */
function dial(protocol, host, port, text) {
  return new Promise((resolve) => {
    let received = '';
    const lines = text === undefined ? 1 : 2;
    const done = (how) => resolve({ received: received.trim(), ...how });
    const socket = protocol.connect({ host, port: Number(port), rejectUnauthorized: false });
    socket.setTimeout(timeoutMs, () => done({ error: 'TIMEOUT' }));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (received.split('\n').length > lines) done({});
    });
    socket.on('error', (error) => done({ error: error.code ?? error.message }));
    socket.on('end', () => done({ error: 'closed by the peer' }));
    if (text !== undefined) socket.write(`${text}\n`);
  });
}

async function resolve(name, server) {
  const resolver = new dns.promises.Resolver({ timeout: timeoutMs, tries: 1 });
  if (server) resolver.setServers([server]);
  return resolver.resolve4(name).then(
    (answers) => ({ answers }),
    (error) => ({ answers: [], error: error.code }),
  );
}
