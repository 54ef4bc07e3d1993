import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConsulMeshSource } from '../../../src/control-plane/consul-mesh-source.ts';
import { openFileMeshSource } from '../../../src/control-plane/file-mesh-source.ts';
import type { LoadResult, MeshSink, MeshSource } from '../../../src/control-plane/mesh-source.ts';
import type { Mesh } from '../../../src/mesh/mesh.ts';
import type { Problem } from '../../../src/mesh/problem.ts';
import { ManualClock, systemClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { until } from '../../feature/run-adsum.ts';
import { FakeConsul, nodesWith } from '../sources/consul/fake-consul.ts';

/** What there is: two services, each with an entry. */
interface World {
  readonly portOfApi: number;
}

/** One kind of source, and the world it reads. A further kind is added here and nowhere else. */
interface Lab {
  open(): MeshSource;
  /** Changes the world. */
  write(world: World): void;
  /** Says the same again. */
  repeat(): void;
  /** From now on there is nothing usable to read, until the next `write`. */
  ruin(): void;
  until(condition: () => boolean): Promise<void>;
}

const labs: Record<string, () => Lab> = {
  'mesh files': () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'adsum-source-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const mesh = path.join(folder, 'mesh');
    mkdirSync(mesh);
    const replace = (name: string, content: object | string) => {
      const file = path.join(mesh, name);
      writeFileSync(`${file}.new`, typeof content === 'string' ? content : JSON.stringify(content));
      renameSync(`${file}.new`, file);
    };
    let world: World = { portOfApi: 0 };
    const tell = () => {
      for (const service of services(world.portOfApi)) {
        replace(`${service.name}.json`, { nodes: [{ name: `vm-${service.name}`, address: '10.0.0.2', services: [service] }] });
      }
      replace('entries.json', { config_entries: ENTRIES });
    };
    return {
      open: () => openFileMeshSource({ meshPaths: [mesh], dataDir: mkdtempSync(path.join(folder, 'data-')), clock: systemClock, logger: silentLogger }),
      write(next) {
        world = next;
        tell();
      },
      repeat: tell,
      ruin: () => replace('api.json', '{ nodes: '),
      until,
    };
  },
  'a live Consul': () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'adsum-source-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const clock = new ManualClock(1_000_000);
    const consul = new FakeConsul();
    consul.set('/discovery-chain/web', 10, { Chain: { AutoVirtualIPs: ['240.0.0.2'], ManualVirtualIPs: null } });
    let index = 20;
    let world: World = { portOfApi: 0 };
    const tell = () => {
      index += 1;
      consul.failing = false;
      const catalog = services(world.portOfApi).map(({ name, port }) => ({
        ID: name,
        Service: name,
        Port: port,
        Connect: { Native: true },
        CreateIndex: 10,
        ModifyIndex: name === 'api' ? index : 10,
      }));
      consul.set('/internal/ui/nodes', index, nodesWith(...catalog));
      consul.set(
        '/config/service-defaults',
        15,
        ENTRIES.map(({ kind, name, protocol }) => ({ Kind: kind, Name: name, Protocol: protocol })),
      );
      consul.set('/catalog/services', index, {});
      consul.set('/catalog/nodes', index, []);
    };
    return {
      open: () => new ConsulMeshSource({ client: consul, dataDir: folder, clock, random: () => 0.5, logger: silentLogger, onReadings: () => {} }),
      write(next) {
        world = next;
        tell();
      },
      repeat: tell,
      ruin: () => consul.fail(),
      async until(condition) {
        for (let turns = 0; !condition(); turns += 1) {
          if (turns > 20_000) throw new Error('the condition did not come true in time');
          await new Promise((resolve) => setImmediate(resolve));
          clock.advance(10);
        }
      },
    };
  },
};

const services = (portOfApi: number) => [
  { name: 'web', port: 80 },
  { name: 'api', port: portOfApi },
];
const ENTRIES = [
  { kind: 'service-defaults', name: 'web', protocol: 'http' },
  { kind: 'service-defaults', name: 'api', protocol: 'tcp' },
];

/** Notes all that a source tells. */
class Sink implements MeshSink {
  readonly meshes: Mesh[] = [];
  problems: readonly Problem[] = [];
  stale: string | undefined;

  load({ mesh, problems }: LoadResult): boolean {
    this.problems = problems;
    this.stale = mesh ? undefined : 'errors';
    if (mesh) this.meshes.push(mesh);
    return mesh !== undefined;
  }

  markStale(reason: string, problems = this.problems): void {
    this.stale = reason;
    this.problems = problems;
  }

  markFresh(): void {
    this.stale = undefined;
  }

  get port(): number | undefined {
    return this.meshes.at(-1)?.instances.find(({ service }) => service === 'api')?.port;
  }
}

describe.each(Object.entries(labs))('%s as a source of meshes', (_name, lab) => {
  async function follow(one: Lab) {
    const source = one.open();
    const sink = new Sink();
    onTestFinished(() => source.close());
    source.load(sink);
    await source.watch(sink);
    return { source, sink };
  }

  async function start(world: World = { portOfApi: 90 }) {
    const one = lab();
    one.write(world);
    const { source, sink } = await follow(one);
    await one.until(() => sink.port === world.portOfApi && sink.stale === undefined);
    return { lab: one, source, sink };
  }

  test('gives all there is, at once', async () => {
    const { sink } = await start();
    expect(sink.meshes).toHaveLength(1);
    expect(sink.meshes[0]?.instances.map(({ service }) => service).sort()).toEqual(['api', 'web']);
    expect([...(sink.meshes[0]?.configEntries ?? [])].map(({ name }) => name).sort()).toEqual(['api', 'web']);
  });

  test('what did not change is the same object in the next mesh', async () => {
    const { lab: one, sink } = await start();
    one.write({ portOfApi: 91 });
    await one.until(() => sink.port === 91);
    const [before, after] = [sink.meshes[0], sink.meshes.at(-1)];
    const instance = (mesh: Mesh | undefined, name: string) => mesh?.instances.find(({ service }) => service === name);
    expect(instance(after, 'web')).toBe(instance(before, 'web'));
    expect(instance(after, 'api')).not.toBe(instance(before, 'api'));
    for (const name of ['web', 'api']) {
      expect(before?.configEntries.get('service-defaults', name)).toBeDefined();
      expect(after?.configEntries.get('service-defaults', name)).toBe(before?.configEntries.get('service-defaults', name));
    }
  });

  test('nothing is given when nothing changed', async () => {
    const { lab: one, sink } = await start();
    one.repeat();
    one.write({ portOfApi: 91 });
    await one.until(() => sink.port === 91);
    one.repeat();
    one.write({ portOfApi: 92 });
    await one.until(() => sink.port === 92);
    expect(sink.meshes.map(({ instances }) => instances.find(({ service }) => service === 'api')?.port)).toEqual([90, 91, 92]);
  });

  test('what cannot be used marks the last mesh as stale and takes nothing away; the next usable one is fresh', async () => {
    const { lab: one, sink } = await start();
    one.ruin();
    await one.until(() => sink.stale !== undefined);
    expect(sink.meshes).toHaveLength(1);
    one.write({ portOfApi: 91 });
    await one.until(() => sink.port === 91 && sink.stale === undefined);
  });

  test('after it is closed it gives nothing', async () => {
    const { lab: one, source, sink } = await start();
    await source.close();
    one.write({ portOfApi: 91 });
    const other = await follow(one);
    await one.until(() => other.sink.port === 91);
    expect(sink.meshes).toHaveLength(1);
  });
});
