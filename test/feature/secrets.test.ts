import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import { RESOURCE_TYPES } from '../../src/cache/resource.ts';
import { CliError } from '../../src/cli/cli-error.ts';
import type { RegisterCommand } from '../../src/cli/program.ts';
import { encode } from '../../src/proto/codec.ts';
import { ADS, rawCall } from '../protocol/grpc-wire.ts';
import { cli } from '../unit/cli/run-cli.ts';
import { freePort, runAdsum, temporaryFolder, until } from './run-adsum.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
/** Each stands in the mesh where a secret stands. */
const SECRETS = ['SECRETKEY', 'SECRETBEARER', 'SECRETJWK', 'SECRETHEADER', 'SECRETTEXT', 'SECRETNACK', 'SECRETPASSWORD'];
/** What must not be seen: the secrets, and as parts of base64. */
const FORBIDDEN = new RegExp([...SECRETS, ...SECRETS.map((secret) => Buffer.from(secret).toString('base64').slice(0, 10)), 'PRIVATE KEY-----'].join('|'));

const localCluster = {
  name: 'local_app',
  type: 'STATIC',
  transport_socket: {
    name: 'tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      common_tls_context: {
        tls_certificates: [
          { private_key: { inline_string: 'SECRETKEY' }, password: { inline_string: 'SECRETPASSWORD' }, certificate_chain: { inline_string: 'x' } },
        ],
      },
    },
  },
};
const sidecar = (name: string, port: number, config: object = {}) => ({ name, port, connect: { sidecar_service: { port: port + 1, proxy: { config } } } });
const mesh = {
  nodes: [
    {
      name: 'n1',
      address: '10.0.0.1',
      services: [
        sidecar('api', 90, { envoy_local_cluster_json: JSON.stringify(localCluster) }),
        { ...sidecar('web', 80), connect: { sidecar_service: { proxy: { upstreams: [{ destination_name: 'api', local_bind_port: 9191 }] } } } },
        sidecar('odd', 70, { envoy_local_cluster_json: '{ "name": -----BEGIN PRIVATE KEY-----SECRETTEXT' }),
      ],
    },
  ],
  config_entries: [
    {
      kind: 'jwt-provider',
      name: 'j',
      issuer: 'i',
      json_web_key_set: {
        local: {
          jwks: Buffer.from(JSON.stringify({ keys: [{ kty: 'oct', kid: '1', alg: 'HS256', k: Buffer.from('SECRETJWK').toString('base64url') }] })).toString(
            'base64',
          ),
        },
      },
    },
    {
      kind: 'service-defaults',
      name: 'api',
      protocol: 'http',
      envoy_extensions: [
        {
          name: 'builtin/ext-authz',
          arguments: {
            proxy_type: 'connect-proxy',
            config: { grpc_service: { target: { uri: '127.0.0.1:9000' }, initial_metadata: [{ key: 'authorization', value: 'Bearer SECRETBEARER' }] } },
          },
        },
      ],
    },
    { kind: 'service-router', name: 'api', routes: [{ destination: { request_headers: { add: { 'x-api-key': 'SECRETHEADER' } } } }] },
    { kind: 'service-intentions', name: 'api', jwt: { providers: [{ name: 'j' }] }, sources: [{ name: 'web', action: 'allow' }] },
  ],
};

/** `adsum serve` as a process of its own, with all that it writes. */
async function serve(nodeFlags: readonly string[] = [], logFormat = 'human') {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.json');
  writeFileSync(file, JSON.stringify(mesh));
  const [grpcPort, admin] = [await freePort(), await freePort()];
  const where = ['--grpc', `127.0.0.1:${grpcPort}`, '--admin', `127.0.0.1:${admin}`, '--dns', 'off', '--data-dir', path.join(folder, 'data')];
  const child = spawn(process.execPath, [...nodeFlags, MAIN, '--log-level', 'debug', '--log-format', logFormat, 'serve', '--mesh', file, ...where]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  let status: number | null | undefined;
  child.on('close', (code) => {
    status = code;
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await until(() => status !== undefined);
  });
  const url = `http://127.0.0.1:${admin}`;
  const ready = () => until(async () => status !== undefined || (await fetch(`${url}/readyz`).catch(() => undefined))?.status === 200);
  return { file, url, grpc: `127.0.0.1:${grpcPort}`, ready, output: () => output, status: () => status };
}

/** A proxy that takes its configuration, and refuses its clusters in words that quote a secret. */
async function connectAndRefuse(address: string): Promise<void> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  onTestFinished(() => client.close());
  const call = rawCall(client, ADS.delta);
  const say = (request: object) =>
    call.write(
      Buffer.from(
        encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { node: { id: 'api-sidecar-proxy' }, type_url: RESOURCE_TYPES.cluster, ...request }),
      ),
    );
  say({});
  const [answer] = await new Promise<[Buffer]>((resolve) => call.once('data', (bytes: Buffer) => resolve([bytes])));
  const nonce = /[0-9a-f]{6}-\d+-\d+/.exec(answer.toString('latin1'))?.[0];
  say({ response_nonce: nonce, error_detail: { code: 3, message: 'invalid header: Bearer SECRETNACK' } });
}

test.each(['human', 'json'])('nothing that adsum shows or logs (%s) at any level holds a secret of the mesh', async (format) => {
  const adsum = await serve([], format);
  await adsum.ready();
  await connectAndRefuse(adsum.grpc);
  await until(() => adsum.output().includes('NACK'));
  const shown: string[] = [];
  for (const where of [
    'proxies',
    'proxies/api-sidecar-proxy',
    'proxies/api-sidecar-proxy/config',
    'proxies/web-sidecar-proxy/config',
    'proxies/odd-sidecar-proxy/config',
    'problems',
    'mesh',
    'ca/roots',
    'nowhere',
  ]) {
    shown.push(await (await fetch(`${adsum.url}/v1/${where}`)).text());
  }
  for (const where of ['metrics', 'readyz', 'healthz']) shown.push(await (await fetch(`${adsum.url}/${where}`)).text());
  for (const args of [
    ['proxies'],
    ['proxies', '--json'],
    ['config-dump', 'api-sidecar-proxy'],
    ['config-dump', 'odd-sidecar-proxy'],
    ['intention', 'check', 'web', 'api'],
  ]) {
    const { out, err } = await runAdsum([...args, '--admin-addr', adsum.url]);
    shown.push(out, err);
  }
  for (const args of [
    ['--mesh', adsum.file],
    ['--mesh', adsum.file, '--json'],
  ]) {
    const { out, err } = await runAdsum(['validate', ...args]);
    shown.push(out, err);
  }
  const config = `${shown[2]}${shown[3]}`;
  // the places are there, and only the secrets are not
  for (const place of ['tls_certificates', 'initial_metadata', 'x-api-key', 'local_jwks']) expect(config).toContain(place);
  expect(config.split('[redacted]').length).toBeGreaterThan(4);
  expect(shown.join('\n')).toContain('Bearer [redacted]');
  for (const text of [...shown, adsum.output()]) expect(text.match(FORBIDDEN)?.[0]).toBeUndefined();
});

test('a crash says where, and none of the secrets in its message', async () => {
  const crash = 'data:text/javascript,setTimeout(()=>{throw new Error("cannot use Bearer SECRETBEARER")},2000)';
  const adsum = await serve(['--import', crash]);
  await until(() => adsum.status() !== undefined);
  expect(adsum.status()).toBe(1);
  expect(adsum.output()).toContain('unexpected error: Error: cannot use Bearer [redacted]');
  expect(adsum.output()).not.toMatch(FORBIDDEN);
});

test('neither does the error of a command', async () => {
  const failing: RegisterCommand = (program) => {
    program.command('expected').action(() => {
      throw new CliError('no: Bearer SECRETBEARER', { hint: 'see http://user:SECRETPASSWORD@host' });
    });
    program.command('bug').action(() => {
      throw new Error('-----BEGIN PRIVATE KEY-----\nSECRETKEY\n-----END PRIVATE KEY-----');
    });
  };
  for (const command of ['expected', 'bug']) {
    const { stderr } = await cli([command], { commands: [failing] });
    expect(stderr).toContain('[redacted]');
    expect(stderr).not.toMatch(FORBIDDEN);
  }
});
