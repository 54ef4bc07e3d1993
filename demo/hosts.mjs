// The whole demo, for root: six hosts, real redirection, everything by the names an application would use.
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDefaultEnvoy } from '../scripts/envoy-binary.mjs';
import { folder, hasIpv6, inside, insideAs, makeMachine, namespaceOf, spawnInside, start, useDnsServer, users } from './machine.mjs';
import { MeshFile } from './mesh.mjs';
import { eventually, expect, need, say, step } from './report.mjs';
import { writeXdsCertificate } from './xds-certificate.mjs';

const fromHere = (file) => fileURLToPath(new URL(file, import.meta.url));
const adsum = [process.execPath, fromHere('../dist/main.js')];
const hosts = { control: 2, web: 11, api: 12, 'db-1': 13, 'db-2': 14, outsider: 20 };
const address = (name) => `10.88.0.${hosts[name]}`;
const services = { web: 'web-1', api: 'api-1', 'db-1': 'db-1', 'db-2': 'db-2' };

export async function runOnHosts() {
  const envoy = findDefaultEnvoy();
  say(`Six hosts as network namespaces, Envoy ${envoy.version} beside each service:\n`);
  makeMachine(hosts);
  const mesh = await startControlPlane();
  startApplications();
  await need('four sidecars, each with its configuration from adsum', () => startSidecars(envoy.binary));
  await showNames();
  await showIntentions(mesh);
  await showDatabases(mesh);
  await showOutsider();
}

async function startControlPlane() {
  const own = path.join(folder, 'control-plane');
  mkdirSync(path.join(own, 'data'), { recursive: true });
  const mesh = MeshFile.fromFile(path.join(own, 'mesh.yaml'), fromHere('../envoy-configs/demo-mesh.yaml'));
  const tls = await writeXdsCertificate(own, address('control'));
  for (const file of [own, path.join(own, 'data'), tls.key]) chownSync(file, users.control, users.control);
  for (const file of [path.join(own, 'data'), tls.key]) chmodSync(file, file === tls.key ? 0o600 : 0o700);
  inside('control', 'sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=0'); // DNS on port 53 without root
  const listen = [
    '--grpc',
    `${address('control')}:18000`,
    '--tls-cert',
    tls.certificate,
    '--tls-key',
    tls.key,
    '--dns',
    `${address('control')}:53`,
    '--allow-anonymous',
  ];
  start('adsum', 'control', users.control, ...adsum, 'serve', '--mesh', mesh.file, '--data-dir', path.join(own, 'data'), ...listen);
  await need('adsum serve on the mesh file', () =>
    eventually(() => {
      const outcome = client('control', 'http', 'http://127.0.0.1:18001/readyz');
      if (outcome.status !== 200) throw new Error(`${outcome.error ?? outcome.status}\n${log('adsum')}`);
      return `ready, xDS on ${address('control')}:18000, DNS on port 53`;
    }),
  );
  return mesh;
}

function startApplications() {
  const applications = { web: 'http-app', api: 'http-app', 'db-1': 'database', 'db-2': 'database' };
  for (const [name, program] of Object.entries(applications)) {
    useDnsServer(name, address('control'));
    start(`app-${name}`, name, users.app, process.execPath, fromHere(`apps/${program}.mjs`), name, program === 'database' ? '5432' : '8080');
  }
}

async function startSidecars(binary) {
  const grpc = ['--grpc-addr', `${address('control')}:18000`, '--tls-ca', path.join(folder, 'control-plane/xds-cert.pem')];
  const redirect = ['redirect-traffic', '--proxy-uid', `${users.envoy}`, '--proxy-inbound-port', '21000'];
  await Promise.all(Object.keys(services).map((name) => finish(name, spawnInside(name, 0, ...adsum, ...redirect))));
  for (const [name, id] of Object.entries(services)) {
    start(`envoy-${name}`, name, users.envoy, ...adsum, 'envoy', '--sidecar-for', id, ...grpc, '--envoy-binary', binary, '--', '--concurrency', '1');
  }
  const startedMs = Date.now();
  for (const name of Object.keys(services)) {
    await eventually(() => {
      const { body, error } = client(name, 'http', 'http://127.0.0.1:19000/ready');
      if (body !== 'LIVE') throw new Error(`the sidecar of ${name} is ${body ?? error}\n${log(`envoy-${name}`)}`);
    });
  }
  return `LIVE after ${Date.now() - startedMs} ms, running as user ${users.envoy}, all other TCP redirected to them`;
}

async function showNames() {
  say('\nNames:');
  await step('web resolves api.virtual.consul', async () => {
    const { answers, error } = client('web', 'dns', 'api.virtual.consul');
    expect(answers.length === 1 && answers[0].startsWith('240.'), { answers, error });
    return `${answers[0]}, a virtual IP`;
  });
  await step('web resolves db.service.consul', async () => {
    const { answers, error } = client('web', 'dns', 'db.service.consul');
    expect([...answers].sort().join() === [address('db-1'), address('db-2')].join(), { answers, error });
    return `${answers.join(', ')}, the two instances`;
  });
}

async function showIntentions(mesh) {
  say('\nThe intention decides (http://api.virtual.consul from web):');
  const call = (target = '/') => client('web', 'http', `http://api.virtual.consul${target}`);
  const works = () => {
    const outcome = call('/orders?page=2');
    expect(outcome.status === 200, outcome);
    const seen = JSON.parse(outcome.body);
    const caller = seen.client_cert?.match(/URI=(spiffe:[^;,]*)/)?.[1];
    expect(caller?.endsWith('/svc/web'), outcome);
    return `200 in ${outcome.ms} ms; ${seen.name} saw the caller as ${caller}`;
  };
  await step('allowed', () => eventually(works));
  await step('path /admin is not', async () => {
    const outcome = call('/admin/users');
    expect(outcome.status === 403, outcome);
    return `403 in ${outcome.ms} ms, from the sidecar of api: "${outcome.body}"`;
  });
  await step('intention changed to deny', async () => {
    const refusal = clientInBackground('web', 'refusal', 'http://api.virtual.consul/');
    await refusal.hasStarted;
    const changedMs = Date.now();
    mesh.deny('api');
    const outcome = await refusal.outcome;
    expect(outcome.error === 'ECONNRESET' || outcome.status === 403, outcome);
    return `refused ${outcome.atMs - changedMs} ms after the change, in ${outcome.tookMs} ms: ${outcome.error ?? `${outcome.status} "${outcome.body}"`}`;
  });
  mesh.restore();
  await step('changed back to allow', () => eventually(works));
}

async function showDatabases(mesh) {
  say('\nA database without a load balancer in between (TCP, it speaks first):');
  const dial = (name) => client('web', 'tcp', address(name), '5432', 'hello');
  for (const name of ['db-1', 'db-2']) {
    await step(`web dials ${address(name)}:5432`, () =>
      eventually(() => {
        const outcome = dial(name);
        expect(outcome.received === `this is ${name}\nhello`, outcome);
        return `"this is ${name}", and it echoes "hello"`;
      }),
    );
  }
  mesh.deny('db');
  await step('denied', () =>
    eventually(() => {
      const outcome = dial('db-1');
      expect(outcome.received === '' && outcome.error !== 'TIMEOUT', outcome);
      return `closed in ${outcome.ms} ms without a byte (${outcome.error})`;
    }),
  );
  mesh.restore();
}

async function showOutsider() {
  say('\nA host outside the mesh:');
  const refused = (outcome) => {
    const isTlsAlert = outcome.received?.startsWith('\x15\x03'); // the sidecar's own words, not the application's
    expect(outcome.error !== undefined && outcome.error !== 'TIMEOUT' && (!outcome.received || isTlsAlert), outcome);
    return `refused in ${outcome.ms} ms (${isTlsAlert ? 'TLS alert' : outcome.error})`;
  };
  await step("plaintext to api's own port", () => refused(client('outsider', 'http', `http://${address('api')}:8080/`)));
  if (hasIpv6) await step('the same over IPv6', () => refused(client('outsider', 'http', `http://[fd88::${hosts.api}]:8080/`)));
  await step("plaintext to the database's port", () => refused(client('outsider', 'tcp', address('db-1'), '5432', 'hello')));
  await step('TLS without a certificate to the sidecar', () => {
    const outcome = client('outsider', 'tls', address('db-1'), '21000');
    expect(outcome.error !== 'ECONNREFUSED', outcome); // the sidecar is there, and refuses
    return refused(outcome);
  });
}

export function howToEnter() {
  return [
    'The mesh goes on running. Some things to try, as root:',
    `  ip netns exec ${namespaceOf('web')} curl http://api.virtual.consul/`,
    `  ip netns exec ${namespaceOf('web')} curl http://127.0.0.1:19000/config_dump`,
    `  ip netns exec ${namespaceOf('control')} ${adsum.join(' ')} proxies`,
    `  edit ${path.join(folder, 'control-plane/mesh.yaml')}, and read the logs in ${path.join(folder, 'logs')}`,
    'To end it: npm run demo -- --stop',
  ].join('\n');
}

function client(name, ...args) {
  return JSON.parse(insideAs(name, users.app, process.execPath, fromHere('apps/client.mjs'), ...args));
}

/** Its outcome is awaited while something else happens; it has started when its first request can be under way. */
function clientInBackground(name, ...args) {
  const child = spawnInside(name, users.app, process.execPath, fromHere('apps/client.mjs'), ...args);
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const hasStarted = new Promise((resolve) => setTimeout(resolve, 500));
  const outcome = new Promise((resolve, reject) =>
    child.once('close', () => (output ? resolve(JSON.parse(output)) : reject(new Error('the client said nothing')))),
  );
  return { hasStarted, outcome };
}

function finish(name, child) {
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`the redirection of ${name} failed: ${complaint}`))));
  });
}

function log(name) {
  return readFileSync(path.join(folder, 'logs', `${name}.log`), 'utf8')
    .split('\n')
    .slice(-15)
    .join('\n');
}
