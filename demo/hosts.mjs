// The whole demo, for root: six hosts, real redirection, everything by the names an application would use.
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findDefaultEnvoy } from '../scripts/envoy-binary.mjs';
import { Machine, users } from './machine.mjs';
import { MeshFile } from './mesh.mjs';
import { eventually, expect, need, say, step } from './report.mjs';
import { comesUp, envoyState } from './started.mjs';
import { writeXdsCertificate } from './xds-certificate.mjs';

const fromHere = (file) => fileURLToPath(new URL(file, import.meta.url));
const hosts = { control: 2, web: 11, api: 12, 'db-1': 13, 'db-2': 14, outsider: 20 };
const address = (name) => `10.88.0.${hosts[name]}`;
const services = { web: 'web-1', api: 'api-1', 'db-1': 'db-1', 'db-2': 'db-2' };
/** Host → the service it stands for. */
const serviceOf = { web: 'web', api: 'api', 'db-1': 'db', 'db-2': 'db' };

/** The hosts of this demo and what runs on them; there is one in a process. */
let machine;
const adsum = () => [machine.node, machine.adsumProgram];

export async function runOnHosts(name) {
  const envoy = findDefaultEnvoy();
  say(`Six hosts as network namespaces, Envoy ${envoy.version} beside each service:\n`);
  machine = new Machine(name, hosts);
  machine.publishPrograms(envoy.binary);
  const mesh = await startControlPlane();
  startApplications();
  await need('four sidecars, each with its configuration from adsum', startSidecars);
  await showNames();
  await showIntentions(mesh);
  await showDatabases(mesh);
  await showOutsider();
}

async function startControlPlane() {
  const own = path.join(machine.folder, 'control-plane');
  mkdirSync(path.join(own, 'data'), { recursive: true });
  const mesh = MeshFile.fromFolder(path.join(own, 'mesh.yaml'), fromHere('../envoy-configs/demo-mesh'));
  const tls = await writeXdsCertificate(own, address('control'));
  for (const file of [own, path.join(own, 'data'), tls.key]) chownSync(file, users.control, users.control);
  for (const file of [path.join(own, 'data'), tls.key]) chmodSync(file, file === tls.key ? 0o600 : 0o700);
  machine.inside('control', 'sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=0'); // DNS on port 53 without root
  const xds = ['--grpc', `${address('control')}:18000`, '--tls-cert', tls.certificate, '--tls-key', tls.key];
  const serve = ['serve', '--mesh', mesh.file, '--data-dir', path.join(own, 'data'), ...xds, '--dns', `${address('control')}:53`];
  const started = machine.start('adsum', 'control', users.control, ...adsum(), ...serve);
  await need('adsum serve on the mesh file', async () => {
    await comesUp('adsum', started, async () => {
      const { status, error } = await client('control', 'http', 'http://127.0.0.1:18001/readyz');
      return status === 200 ? undefined : `not ready (${error ?? status})`;
    });
    return `ready, xDS on ${address('control')}:18000, DNS on port 53`;
  });
  return mesh;
}

function startApplications() {
  const applications = { web: 'http-app', api: 'http-app', 'db-1': 'database', 'db-2': 'database' };
  for (const [name, program] of Object.entries(applications)) {
    machine.useDnsServer(name, address('control'));
    const port = program === 'database' ? '5432' : '8080';
    machine.start(`app-${name}`, name, users.app, machine.node, path.join(machine.apps, `${program}.mjs`), name, port);
  }
}

async function startSidecars() {
  const where = [
    '--admin-bind',
    '127.0.0.1:19000',
    '--grpc-addr',
    `${address('control')}:18000`,
    '--tls-ca',
    path.join(machine.folder, 'control-plane/xds-cert.pem'),
  ];
  const redirect = ['redirect-traffic', '--proxy-uid', `${users.envoy}`, '--proxy-inbound-port', '21000'];
  await Promise.all(Object.keys(services).map((name) => machine.run(name, 0, ...adsum(), ...redirect)));
  await Promise.all(Object.keys(services).map(createToken));
  const startedMs = Date.now();
  const sidecars = Object.entries(services).map(([name, id]) => {
    const envoy = ['envoy', '--sidecar-for', id, '--token-file', tokenOf(name), ...where, '--envoy-binary', machine.envoy, '--', '--concurrency', '1'];
    return { name, started: machine.start(`envoy-${name}`, name, users.envoy, ...adsum(), ...envoy) };
  });
  for (const { name, started } of sidecars) {
    await comesUp(`the sidecar of ${name}`, started, async () => envoyState(await client(name, 'http', 'http://127.0.0.1:19000/ready')));
  }
  return `LIVE after ${Date.now() - startedMs} ms, running as user ${users.envoy}, all other TCP redirected to them`;
}

/** Without it a sidecar is served nothing. Made on the control plane's host, and given to the user that Envoy runs as. */
async function createToken(name) {
  const socket = path.join(machine.folder, 'control-plane/data/admin.sock');
  const create = ['token', 'create', '--service', serviceOf[name], '--out', tokenOf(name), '--admin-addr', `unix://${socket}`];
  await machine.run('control', users.control, ...adsum(), ...create);
  chownSync(tokenOf(name), users.envoy, users.envoy);
}

function tokenOf(name) {
  return path.join(machine.folder, 'control-plane', `${name}.token`);
}

async function showNames() {
  say('\nNames:');
  const resolves = (name, fits, words) =>
    step(`web resolves ${name}`, () =>
      eventually(async () => {
        const { answers, error } = await client('web', 'dns', name);
        expect(error === undefined && fits(answers), { answers, error });
        return `${answers.join(', ')}, ${words}`;
      }),
    );
  await resolves('api.virtual.consul', (answers) => answers.length === 1 && answers[0].startsWith('240.'), 'a virtual IP');
  await resolves('db.service.consul', (answers) => [...answers].sort().join() === [address('db-1'), address('db-2')].join(), 'the two instances');
}

async function showIntentions(mesh) {
  say('\nThe intention decides (http://api.virtual.consul from web):');
  const call = (target = '/') => client('web', 'http', `http://api.virtual.consul${target}`);
  const works = async () => {
    const outcome = await call('/orders?page=2');
    expect(outcome.status === 200, outcome);
    const seen = JSON.parse(outcome.body);
    const caller = seen.client_cert?.match(/URI=(spiffe:[^;,]*)/)?.[1];
    expect(caller?.endsWith('/svc/web'), outcome);
    return `200 in ${outcome.ms} ms; ${seen.name} saw the caller as ${caller}`;
  };
  await step('allowed', () => eventually(works));
  await step('path /admin is not', async () => {
    const outcome = await call('/admin/users');
    expect(outcome.status === 403, outcome);
    return `403 in ${outcome.ms} ms, from the sidecar of api: "${outcome.body}"`;
  });
  await step('intention changed to deny', async () => {
    const refusal = clientInBackground('web', 'refusal', 'http://api.virtual.consul/');
    await refusal.hasBegun;
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
      eventually(async () => {
        const outcome = await dial(name);
        expect(outcome.received === `this is ${name}\nhello`, outcome);
        return `"this is ${name}", and it echoes "hello"`;
      }),
    );
  }
  mesh.deny('db');
  await step('denied', () =>
    eventually(async () => {
      const outcome = await dial('db-1');
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
  const isRefused = (what, ...request) => step(what, async () => refused(await client('outsider', ...request)));
  await isRefused("plaintext to api's own port", 'http', `http://${address('api')}:8080/`);
  if (machine.hasIpv6) await isRefused('the same over IPv6', 'http', `http://[fd88::${hosts.api}]:8080/`);
  await isRefused("plaintext to the database's port", 'tcp', address('db-1'), '5432', 'hello');
  await step('TLS without a certificate to the sidecar', async () => {
    const outcome = await client('outsider', 'tls', address('db-1'), '21000');
    expect(outcome.error !== 'ECONNREFUSED', outcome); // the sidecar is there, and refuses
    return refused(outcome);
  });
}

export function howToEnter() {
  const inside = (name) => `  ip netns exec ${machine.namespaceOf(name)}`;
  return [
    `The mesh goes on running as ${machine.name}. Some things to try, as root:`,
    `${inside('web')} curl http://api.virtual.consul/`,
    `${inside('web')} curl http://127.0.0.1:19000/config_dump`,
    `${inside('control')} ${adsum().map(quoted).join(' ')} proxies`,
    `  edit ${path.join(machine.folder, 'control-plane/mesh.yaml')}, and read the logs in ${machine.logs}`,
    `To end it: npm run demo -- --stop ${machine.name}`,
  ].join('\n');
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

async function client(name, ...args) {
  return JSON.parse(await machine.run(name, users.app, ...clientProgram(), ...args));
}

function clientProgram() {
  return [machine.node, path.join(machine.apps, 'client.mjs')];
}

/** Its outcome is awaited while something else happens; `hasBegun` comes after its first answer. */
function clientInBackground(name, ...args) {
  const child = machine.spawnInside(name, users.app, ...clientProgram(), ...args);
  const lines = readline.createInterface({ input: child.stdout });
  const said = (found) =>
    new Promise((resolve, reject) => {
      lines.on('line', (line) => found(JSON.parse(line)) && resolve(JSON.parse(line)));
      child.once('close', () => reject(new Error('the client ended before its time')));
    });
  const outcome = said((line) => !line.began);
  const hasBegun = said((line) => line.began);
  // Whichever is not awaited must not end this process when it fails.
  for (const promise of [outcome, hasBegun]) promise.catch(() => {});
  return { hasBegun, outcome };
}
