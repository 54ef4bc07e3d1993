import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../../src/cli/run.ts';
import { temporaryFolder } from './run-adsum.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(repository + file, 'utf8');

interface Service {
  command?: string | string[];
  build?: string | { target: string };
  image: string;
  network_mode?: string;
  networks?: { mesh: { ipv4_address: string } };
  cap_add?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  restart?: string;
  depends_on?: Record<string, { condition: string; restart?: boolean }>;
}
interface Compose {
  services: Record<string, Service>;
  configs: { addresses: { content: string } };
}
interface Node {
  name: string;
  address: string;
  services: { id: string; name: string; connect: { sidecar_service: { port: number } } }[];
}

/** As it is without a .env. */
const compose = parse(read('docker-compose.yml').replaceAll(/\$\{ADSUM_NET:-([\d.]+)\}/g, '$1'), { merge: true }) as Compose;
const mesh = parse(read('envoy-configs/demo-mesh/mesh.yaml')) as { nodes: Node[] };

/** Container name of each service instance of the demo mesh. */
const sidecars = [
  ['web', 'web-1', 'web'],
  ['api', 'api-1', 'api'],
  ['db-1', 'db-1', 'db'],
  ['db-2', 'db-2', 'db'],
] as const;

async function run(...args: string[]) {
  const printed = { out: '', err: '' };
  const status = await runCli(args, {
    env: {},
    signal: new AbortController().signal,
    out: (text) => {
      printed.out += text;
    },
    err: (text) => {
      printed.err += text;
    },
  });
  return { status, ...printed };
}

test.each(sidecars)('the bootstrap of %s is what the command prints', async (name, id, service) => {
  const file = `envoy-configs/${name}-sidecar.json`;
  // Its admin interface is not for the application, which is in the same network.
  const where = ['--grpc-addr', 'adsum:18000', '--ipv6', 'off', '--max-downstream-connections', '100000', '--admin-bind', 'unix:///tmp/envoy-admin.sock'];
  const { out, err } = await run('bootstrap', '--sidecar-for', id, '--service', service, '--datacenter', 'dc1', ...where);
  expect(err).toBe('');
  if (process.env.UPDATE_GOLDENS) writeFileSync(repository + file, out);
  expect(read(file), 'refresh with: UPDATE_GOLDENS=1 npx vitest run --project fast test/feature/files-equal.test.ts').toBe(out);
});

test('the demo mesh has no defects, neither with the addresses of the demo nor with those of compose', async () => {
  expect(await run('validate', '--mesh', `${repository}envoy-configs/demo-mesh`)).toMatchObject({ status: 0 });
  const addresses = path.join(temporaryFolder(), 'addresses.yaml');
  writeFileSync(addresses, compose.configs.addresses.content);
  expect(await run('validate', '--mesh', `${repository}envoy-configs/demo-mesh/mesh.yaml`, '--mesh', addresses)).toMatchObject({ status: 0 });
});

describe('compose', () => {
  const { services } = compose;
  const of = (name: string): Service => services[name] ?? expect.fail(`no service ${name}`);

  test('a host for every instance of the demo mesh, at the address that the mesh is told', () => {
    const { nodes } = parse(compose.configs.addresses.content) as { nodes: Node[] };
    const wanted = mesh.nodes.flatMap((node) => node.services.map((service) => [service.id, nodes.find(({ name }) => name === node.name)?.address]));
    expect(sidecars.map(([name, id]) => [id, of(`${name}-host`).networks?.mesh.ipv4_address])).toEqual(wanted);
  });

  test.each(sidecars)('%s is in the network of its host, which redirects it, and starts when its sidecar is healthy', (name) => {
    const host = `${name}-host`;
    for (const guest of [name, `${name}-sidecar`]) {
      expect(of(guest).network_mode).toBe(`service:${host}`);
      expect(of(guest).depends_on?.[host]).toEqual({ condition: 'service_started', restart: true });
    }
    expect(of(name).depends_on?.[`${name}-sidecar`]).toEqual({ condition: 'service_healthy' });
    expect(of(`${name}-sidecar`).command).toEqual([`/etc/envoy/${name}-sidecar.json`]);
    expect(String(of(host).command)).toContain('adsum redirect-traffic ');
  });

  test('nobody has a privilege that is not needed, and all come back', () => {
    const privileges = Object.entries(services).map(([name, { cap_drop, cap_add, security_opt, restart }]) => {
      expect({ cap_drop, security_opt, restart }, name).toEqual({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'], restart: 'unless-stopped' });
      return [name, cap_add ?? []];
    });
    const hosts = sidecars.map(([name]) => [`${name}-host`, ['NET_ADMIN']]);
    const others = sidecars.flatMap(([name]) => [name, `${name}-sidecar`]).map((name) => [name, []]);
    expect(Object.fromEntries(privileges)).toEqual({ adsum: ['DAC_OVERRIDE'], ...Object.fromEntries(hosts), ...Object.fromEntries(others) });
  });

  test('each image is built once, and belongs to this project', () => {
    const built = Object.values(services).flatMap(({ build, image }) => (build === undefined ? [] : [image]));
    expect(built.sort()).toEqual([...new Set(Object.values(services).map(({ image }) => image))].sort());
    for (const image of built) expect(image).toMatch(/^\$\{COMPOSE_PROJECT_NAME\}-/);
  });
});

test('compose and the units redirect to the port that the sidecars listen on, with flags the command knows', async () => {
  const ports = mesh.nodes.flatMap((node) => node.services.map((service) => service.connect.sidecar_service.port));
  expect(new Set(ports)).toEqual(new Set([21000]));
  const inCompose = sidecars.map(([name]) => /^adsum (redirect-traffic .*)$/m.exec(String(compose.services[`${name}-host`]?.command))?.[1]?.split(' ') ?? []);
  const inUnit = unitCommand('adsum-envoy@.service', 'ExecStartPre').map((word) => (word.startsWith('$') ? '21000' : word === 'envoy' ? '995' : word));
  for (const command of [...inCompose, inUnit]) {
    const { status, out, err } = await run(...command, '--dry-run');
    expect(status, `${command.join(' ')}: ${err}`).toBe(0);
    expect(out).toContain('--to-ports 21000');
  }
});

test('the units start commands that exist with flags that they know', async () => {
  for (const words of [unitCommand('adsum.service', 'ExecStart'), unitCommand('adsum-envoy@.service', 'ExecStart')]) {
    const [command = '', ...flags] = words;
    const help = await run(command, '--help');
    for (const flag of flags.filter((word) => word.startsWith('--'))) expect(help.out).toContain(flag);
  }
  expect((await run('redirect-traffic', '--help')).out).toContain('--undo');
});

/** The words after the program of a unit's line. */
function unitCommand(unit: string, key: string): string[] {
  const line = read(`envoy-configs/systemd/${unit}`)
    .split('\n')
    .find((text) => text.startsWith(`${key}=`));
  return line?.split(' ').slice(1) ?? [];
}
