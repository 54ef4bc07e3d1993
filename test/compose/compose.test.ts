// The mesh of docker-compose.yml in real containers, while somebody outside the mesh asks without a pause: nothing may be answered.
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closedClone, docker, Outsider, Project, whyNoContainers } from './project.ts';

const obstacle = whyNoContainers();
const title = obstacle ? `docker-compose.yml (skipped: ${obstacle})` : 'docker-compose.yml';

const clone = obstacle ? '' : closedClone();
const project = new Project(clone, `adsum-test-${process.pid}`, '10.61.201');
const neighbour = new Project(clone, `adsum-test-${process.pid}-b`, '10.61.202');
const APPLICATIONS = { web: [11, 8080], api: [12, 8080], 'db-1': [13, 5432], 'db-2': [14, 5432] } as const;

describe.skipIf(obstacle !== undefined)(title, () => {
  let outsider: Outsider;
  let volumesBefore: string[];

  const volumes = async () => (await docker('volume', 'ls', '-q')).out.split('\n').filter(Boolean);
  const health = (service: string) => project.inspect(service, '{{if eq .State.Status "running"}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}');
  const healthy = (...services: string[]) =>
    project.until(`${services.join(', ')} healthy`, async () => (await Promise.all(services.map(health))).every((state) => state === 'healthy'));

  /** web reaches both services by the mesh, and nobody outside it got a word since the last time. */
  const holds = async () => {
    await project.until('web calls api', async () => (await project.client('web', 'http', 'http://api.virtual.consul/')).status === 200);
    for (const [name, host] of [
      ['db-1', 13],
      ['db-2', 14],
    ] as const) {
      await project.until(`web calls ${name}`, async () => {
        const { received } = await project.client('web', 'tcp', project.address(host), '5432', 'hello');
        return received === `this is ${name}\nhello`;
      });
    }
    const { attempts, answers } = await outsider.tally();
    expect(answers).toEqual([]);
    expect(attempts).toBeGreaterThan(0);
  };

  beforeAll(async () => {
    volumesBefore = await volumes();
    await project.compose('build');
    // The network is there with the first service, and the outsider in it before there is anything to ask.
    await project.compose('up', '-d', 'adsum');
    const targets = Object.values(APPLICATIONS).map(([host, port]) => `${project.address(host)}:${port}`);
    outsider = await Outsider.start(project, project.address(200), targets);
    await project.compose('up', '-d', '--wait');
  });

  afterAll(async () => {
    await outsider?.remove();
    await project.try('down', '-v', '--rmi', 'local', '--timeout', '2');
    await neighbour.try('down', '-v', '--rmi', 'local', '--timeout', '2');
    rmSync(clone, { recursive: true, force: true });
  });

  test('up: the mesh works, and no plaintext is answered on the way', holds);

  test.each([['api'], ['db-1'], ['api-host'], []])('restart %s', async (...services) => {
    await project.compose('restart', '--timeout', '2', ...services);
    await holds();
  });

  test('everything made anew', async () => {
    await project.compose('up', '-d', '--wait', '--force-recreate', '--timeout', '2');
    await holds();
  });

  test('what crashes comes back: an application, a sidecar, adsum (the only DNS of the mesh), the owner of a network', async () => {
    for (const service of ['api', 'db-1-sidecar', 'adsum', 'api-host']) {
      const before = await project.inspect(service, '{{.State.Pid}}');
      await project.crash(service);
      await project.until(`${service} is back`, async () => !['0', before].includes(await project.inspect(service, '{{.State.Pid}}')));
    }
    // The two others of that host end by themselves, and come back in its new network.
    await holds();
    await healthy('adsum', 'api', 'api-sidecar', 'db-1-sidecar');
  });

  test('a sidecar whose host is not redirected says so, and is not healthy', async () => {
    await project.compose('exec', '-T', 'db-2-host', 'adsum', 'redirect-traffic', '--undo');
    expect(await project.try('exec', '-T', 'db-2-sidecar', 'sidecar-health', '21000')).toMatchObject({
      status: 1,
      out: expect.stringContaining('NOT REDIRECTED'),
    });
    await project.until('db-2-sidecar unhealthy', async () => (await health('db-2-sidecar')) === 'unhealthy');
    expect(await project.inspect('db-2-sidecar', '{{json .State.Health.Log}}')).toContain('NOT REDIRECTED');
    await project.compose('restart', '--timeout', '2', 'db-2-host');
    await healthy('db-2-sidecar', 'db-2');
    // It was open meanwhile, by our own hand.
    await outsider.tally();
    await holds();
  });

  test.each(Object.keys(APPLICATIONS))('the application %s is no root and can become nobody else', async (service) => {
    const { out } = await project.try('exec', '-T', service, 'grep', '-E', '^(Uid|CapBnd|CapEff|NoNewPrivs):', '/proc/1/status');
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/)),
    ).toEqual([
      ['Uid:', '1000', '1000', '1000', '1000'],
      ['CapEff:', '0000000000000000'],
      ['CapBnd:', '0000000000000000'],
      ['NoNewPrivs:', '1'],
    ]);
    // 101 is the user whose connections are not redirected.
    expect((await project.try('exec', '-T', '-u', 'root', service, 'setpriv', '--reuid', '101', 'true')).status).not.toBe(0);
  });

  test('a second mesh runs beside it', async () => {
    await neighbour.compose('build');
    await neighbour.compose('up', '-d', '--wait', 'adsum', 'web', 'api');
    await neighbour.until('web calls api', async () => (await neighbour.client('web', 'http', 'http://api.virtual.consul/')).status === 200);
    await holds();
  });

  test('down leaves nothing but the volume that has a name, down -v not even that', async () => {
    await outsider.remove();
    const left = async () => (await volumes()).filter((volume) => !volumesBefore.includes(volume));
    await neighbour.compose('down', '-v', '--timeout', '2');
    await project.compose('down', '--timeout', '2');
    expect(await left()).toEqual([`${project.name}_adsum-data`]);
    await project.compose('down', '-v');
    expect(await left()).toEqual([]);
  });
});
