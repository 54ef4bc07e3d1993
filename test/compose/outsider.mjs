// Asks every target in plaintext without a pause and notes each answer. GET / on port 9000 tells attempts and answers since the last time,
// once every target was asked twenty times more.
//   node outsider.mjs ADDRESS:PORT...
import http from 'node:http';
import net from 'node:net';

const EACH = 20;
const targets = process.argv.slice(2);
const attempts = new Map(targets.map((target) => [target, 0]));
let answers = [];

/** Resolves with what came back, undefined if nothing did. A TLS alert (record type 21) is a refusal, no answer. */
function ask(target) {
  const [host, port] = target.split(':');
  return new Promise((resolve) => {
    const socket = net.connect({ host, port: Number(port) });
    let received = '';
    socket.setTimeout(500, () => socket.destroy());
    // An HTTP server answers a request, the database speaks first.
    socket.on('connect', () => port === '8080' && socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(received === '' || received.charCodeAt(0) === 21 ? undefined : received.slice(0, 60)));
  });
}

async function askForEver(target) {
  for (;;) {
    const answer = await ask(target);
    attempts.set(target, attempts.get(target) + 1);
    if (answer !== undefined) answers.push(`${target} ${new Date().toISOString()} ${answer}`);
    await new Promise((next) => setTimeout(next, 2));
  }
}

http
  .createServer(async (_request, response) => {
    const goal = new Map([...attempts].map(([target, count]) => [target, count + EACH]));
    while (targets.some((target) => attempts.get(target) < goal.get(target))) await new Promise((next) => setTimeout(next, 20));
    response.end(JSON.stringify({ attempts: [...attempts.values()].reduce((a, b) => a + b), answers: answers.slice(0, 20) }));
    for (const target of targets) attempts.set(target, 0);
    answers = [];
  })
  .listen(9000, '127.0.0.1');
for (const target of targets) void askForEver(target);
