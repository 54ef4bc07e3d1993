import { writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import path from 'node:path';
import { freePort } from '../../feature/run-adsum.ts';
import type { Adsum } from './adsum.ts';
import type { ConsulAgent } from './consul-agent.ts';
import { findConsul } from './consul-binary.ts';
import { LocalEnvoy } from './local-envoy.ts';
import { run } from './program.ts';

export interface Member {
  readonly name: string;
  /** Where its application listens; answers with its name. */
  readonly port: number;
  /** Where its sidecar lets the application call each upstream. */
  readonly upstreams: Readonly<Record<string, number>>;
}

/** An application that answers every request with its name. */
export async function startApplication(name: string): Promise<{ port: number; close(): void }> {
  const server: Server = createServer((_request, response) => response.end(name));
  const port = await freePort();
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  return {
    port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** One request on a connection of its own: the status and the body, or why there was no answer. */
export function ask(port: number, timeoutMs = 2_000): Promise<string> {
  return new Promise((resolve) => {
    const sent = request({ host: '127.0.0.1', port, path: '/', agent: false, timeout: timeoutMs }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString('utf8');
      });
      response.on('end', () => resolve(response.statusCode === 200 ? body : `${response.statusCode}`));
      response.on('error', (error) => resolve(error.message));
    });
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.on('error', (error) => resolve(error.message));
    sent.end();
  });
}

/** Registers a service with a sidecar through the `consul` command, as its documentation shows. */
export async function register(
  consul: ConsulAgent,
  folder: string,
  name: string,
  port: number,
  upstreams: readonly string[],
  options: { id?: string; token?: string } = {},
): Promise<Member> {
  const ports = Object.fromEntries(await Promise.all(upstreams.map(async (upstream) => [upstream, await freePort()] as const)));
  const id = options.id ?? name;
  const definition = {
    service: {
      name,
      id,
      port,
      ...(options.token ? { token: options.token } : {}),
      checks: [{ id: `${id}-ttl`, name: 'ttl', ttl: '1h', status: 'passing' }],
      connect: {
        sidecar_service: {
          port: await freePort(),
          // Consul's own would wait ten seconds before it looks
          checks: [{ name: 'alias', alias_service: id }],
          proxy: { upstreams: upstreams.map((upstream) => ({ destination_name: upstream, local_bind_port: ports[upstream] })) },
        },
      },
    },
  };
  const file = path.join(folder, `${id}.json`);
  writeFileSync(file, JSON.stringify(definition));
  await consul.cli('services', 'register', file);
  return { name, port, upstreams: ports };
}

/** A sidecar on adsum, by `adsum bootstrap`. */
export function sidecarOnAdsum(adsum: Adsum, folder: string, id: string, flags: readonly string[] = []): Promise<LocalEnvoy> {
  return LocalEnvoy.start(path.join(folder, `${id}-bootstrap.json`), (admin) =>
    adsum.run('bootstrap', '--sidecar-for', id, '--grpc-addr', adsum.grpc, '--admin-bind', admin, ...flags),
  );
}

/** A sidecar on Consul's own xDS, by `consul connect envoy`. */
export function sidecarOnConsul(consul: ConsulAgent, folder: string, id: string): Promise<LocalEnvoy> {
  return LocalEnvoy.start(path.join(folder, `${id}-bootstrap.json`), (admin) =>
    run(
      [findConsul() ?? 'consul', 'connect', 'envoy', '-bootstrap', '-ignore-envoy-compatibility', '-sidecar-for', id, '-admin-bind', admin],
      consul.environment,
    ),
  );
}

/** Registers a service with its sidecar in the catalog, on a machine without an agent: nothing but this call decides of its health. */
export async function registerInCatalog(consul: ConsulAgent, name: string, port: number, upstreams: readonly string[]): Promise<Member> {
  const ports = Object.fromEntries(await Promise.all(upstreams.map(async (upstream) => [upstream, await freePort()] as const)));
  const node = { Node: `vm-${name}`, Address: '127.0.0.1' };
  await consul.put('/v1/catalog/register', { ...node, Service: { Service: name, Port: port } });
  const proxy = {
    DestinationServiceName: name,
    DestinationServiceID: name,
    LocalServiceAddress: '127.0.0.1',
    LocalServicePort: port,
    Upstreams: upstreams.map((upstream) => ({ DestinationName: upstream, LocalBindPort: ports[upstream] })),
  };
  await consul.put('/v1/catalog/register', {
    ...node,
    Service: { Kind: 'connect-proxy', Service: `${name}-sidecar-proxy`, Port: await freePort(), Proxy: proxy },
  });
  return { name, port, upstreams: ports };
}
