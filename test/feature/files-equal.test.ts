import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../../src/cli/run.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string) => readFileSync(repository + file, 'utf8');

interface Compose {
  services: Record<string, { command?: string | string[]; volumes?: string[]; networks?: { mesh: { ipv4_address: string } }; image?: string }>;
}
interface DemoMesh {
  nodes: { address: string; services: { id: string; name: string; connect: { sidecar_service: { port: number } } }[] }[];
}

const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose;
const mesh = parse(read('envoy-configs/demo-mesh.yaml')) as DemoMesh;

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
  const where = ['--grpc-addr', '10.88.0.2:18000', '--ipv6', 'off', '--max-downstream-connections', '100000'];
  const { out, err } = await run('bootstrap', '--sidecar-for', id, '--service', service, '--datacenter', 'dc1', ...where);
  expect(err).toBe('');
  if (process.env.UPDATE_GOLDENS) writeFileSync(repository + file, out);
  expect(read(file), 'refresh with: UPDATE_GOLDENS=1 npx vitest run --project fast test/feature/files-equal.test.ts').toBe(out);
});

test('compose has a container with the right address for every instance of the demo mesh', () => {
  const instances = mesh.nodes.flatMap((node) => node.services.map((service) => [service.id, node.address]));
  const containers = sidecars.map(([name, id]) => [id, compose.services[name]?.networks?.mesh.ipv4_address]);
  expect(containers).toEqual(instances);
  for (const [name] of sidecars)
    expect(compose.services[`${name}-sidecar`]?.volumes).toEqual([`./envoy-configs/${name}-sidecar.json:/etc/envoy/sidecar.json:ro`]);
});

test('the demo mesh has no defects', async () => {
  expect(await run('validate', '--mesh', `${repository}envoy-configs/demo-mesh.yaml`)).toMatchObject({ status: 0 });
});

test('compose and the units redirect to the port that the sidecars listen on, with flags the command knows', async () => {
  const ports = mesh.nodes.flatMap((node) => node.services.map((service) => service.connect.sidecar_service.port));
  expect(new Set(ports)).toEqual(new Set([21000]));
  const inCompose = sidecars.map(([name]) => compose.services[`${name}-redirect`]?.command).filter(Array.isArray);
  expect(inCompose).toHaveLength(sidecars.length);
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
