import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { REFUSED_BY_RE2, TAKEN_BY_RE2 } from '../unit/mesh/regexes.ts';
import { findEnvoy, release } from './lab/envoy-binary.ts';

/** What adsum says of a regular expression is what Envoy says; each pattern is in a listener of its own, so that one Envoy judges all. */
describe.each([release.default, release.newest])('Envoy %s', (version) => {
  const envoy = findEnvoy(version);
  test.skipIf(!envoy)('takes the patterns that adsum takes, and refuses those of RE2', async () => {
    const patterns = [...REFUSED_BY_RE2, ...TAKEN_BY_RE2];
    const taken = await takenBy(envoy?.binary ?? '', patterns);
    expect(patterns.filter((_pattern, index) => taken.has(index))).toEqual(TAKEN_BY_RE2);
  });
});

async function takenBy(binary: string, patterns: readonly string[]): Promise<ReadonlySet<number>> {
  const scratch = mkdtempSync(join(tmpdir(), 'adsum-regex-'));
  const socket = join(scratch, 'admin');
  writeFileSync(join(scratch, 'lds.json'), JSON.stringify({ version_info: '1', resources: patterns.map(listener) }));
  const config = {
    node: { id: 'x', cluster: 'x' },
    admin: { address: { pipe: { path: socket } } },
    dynamic_resources: { lds_config: { path_config_source: { path: join(scratch, 'lds.json') }, resource_api_version: 'V3' } },
    layered_runtime: { layers: [{ name: 'base', static_layer: { 're2.max_program_size.error_level': 1048576 } }] },
  };
  writeFileSync(join(scratch, 'envoy.json'), JSON.stringify(config));
  const envoy = spawn(binary, ['-c', join(scratch, 'envoy.json'), '--use-dynamic-base-id', '--log-level', 'off'], { stdio: 'ignore' });
  try {
    await expect.poll(() => ask(socket, '/stats?filter=listener_manager.lds.update'), { timeout: 60_000 }).toMatch(/update_(rejected|success): [1-9]/);
    const { listener_statuses } = JSON.parse(await ask(socket, '/listeners?format=json')) as { listener_statuses: { name: string }[] };
    return new Set(listener_statuses.map(({ name }) => Number(name)));
  } finally {
    const ended = new Promise((resolve) => envoy.once('exit', resolve));
    envoy.kill();
    await ended;
    rmSync(scratch, { recursive: true });
  }
}

function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve) => {
    request({ socketPath, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(text));
    })
      .on('error', () => resolve(''))
      .end();
  });
}

function listener(regex: string, index: number): object {
  const routes = [{ match: { safe_regex: { regex } }, direct_response: { status: 200 } }];
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'x',
    route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes }] },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }],
  };
  return {
    '@type': 'type.googleapis.com/envoy.config.listener.v3.Listener',
    name: String(index),
    address: { socket_address: { address: '127.0.0.1', port_value: 20_000 + index } },
    bind_to_port: false,
    filter_chains: [{ filters: [{ name: 'h', typed_config: manager }] }],
  };
}
