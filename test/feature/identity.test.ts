import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RESOURCE_TYPES } from '../../src/cache/resource.ts';
import { decode, encode } from '../../src/proto/codec.ts';
import { ADS, rawCall } from '../protocol/grpc-wire.ts';
import { createServerCertificate, type ServerFiles } from './certificates.ts';
import { freePort, type RunningAdsum, runAdsum, serveAdsum, temporaryFolder, until } from './run-adsum.ts';

const MESH = `
trust_domain: td.consul
nodes:
  - name: vm-1
    address: 10.0.0.1
    services:
      - { name: web, port: 80, connect: { sidecar_service: {} } }
      - { name: api, port: 90, connect: { sidecar_service: {} } }
  - name: vm-2
    address: 10.0.0.2
    services: [{ name: web, port: 80, connect: { sidecar_service: {} } }]
`;

interface Shown {
  readonly token?: string;
  readonly bearer?: string;
  readonly certificate?: { readonly cert: string; readonly key: string };
  readonly node?: string;
}

interface Outcome {
  /** The private key of which service was sent; undefined: none. */
  readonly leafOf: () => string | undefined;
  /** How the stream ended; undefined while it is open. */
  readonly end: () => string | undefined;
}

/** A mesh whose adsum asks for identities, on loopback. */
async function start(options: { args?: readonly string[]; tls?: ServerFiles; grpc?: string } = {}) {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const dataDir = path.join(folder, 'data');
  const tls = options.tls ? ['--tls-cert', options.tls.cert, '--tls-key', options.tls.key] : [];
  const address = options.grpc ? ['--grpc', options.grpc] : [];
  const serve = () => serveAdsum(file, { dataDir, args: [...address, ...(options.args ?? ['--require-identity', ...tls])] });
  let adsum: RunningAdsum = await serve();
  const run = async (...args: string[]) => {
    const { status, out, err } = await runAdsum([...args, '--admin-addr', `unix://${path.join(dataDir, 'admin.sock')}`]);
    if (status !== 0) throw new Error(err);
    return out;
  };
  const channel = (shown: Shown) => {
    if (!options.tls) return grpc.credentials.createInsecure();
    const { cert, key } = shown.certificate ?? {};
    return grpc.credentials.createSsl(readFileSync(options.tls.ca), key ? Buffer.from(key) : null, cert ? Buffer.from(cert) : null);
  };
  /** Asks for everything of the proxy, secrets first, and shows what it has. */
  const connect = (proxy: string, shown: Shown = {}): Outcome => {
    const client = new grpc.Client(options.grpc?.replace('0.0.0.0', '127.0.0.1') ?? adsum.grpc, channel(shown), { 'grpc.use_local_subchannel_pool': 1 });
    onTestFinished(() => client.close());
    const metadata = new grpc.Metadata();
    if (shown.token !== undefined) metadata.set('x-consul-token', shown.token);
    if (shown.bearer !== undefined) metadata.set('authorization', `Bearer ${shown.bearer}`);
    const call = rawCall(client, ADS.sotw, metadata);
    let leafOf: string | undefined;
    let end: string | undefined;
    call.on('data', (bytes: Buffer) => {
      const { resources = [] } = decode('envoy.service.discovery.v3.DiscoveryResponse', bytes) as { resources?: object[] };
      if (JSON.stringify(resources).includes('private_key')) leafOf = proxy.replace('-sidecar-proxy', '');
    });
    call.on('status', ({ code, details }) => {
      end = `${grpc.status[code]}: ${details}`;
    });
    const node = { id: proxy, metadata: { node_name: shown.node ?? 'vm-1' } };
    call.write(Buffer.from(encode('envoy.service.discovery.v3.DiscoveryRequest', { node, type_url: RESOURCE_TYPES.secret, resource_names: ['leaf'] })));
    return { leafOf: () => leafOf, end: () => end };
  };
  const served = async (outcome: Outcome) => {
    await until(() => outcome.leafOf() !== undefined || outcome.end() !== undefined);
    expect(outcome.end()).toBeUndefined();
  };
  const refused = async (outcome: Outcome, reason: RegExp) => {
    await until(() => outcome.end() !== undefined);
    expect(outcome.end()).toMatch(reason);
    expect(outcome.leafOf()).toBeUndefined();
  };
  const restart = async () => {
    await adsum.stop();
    adsum = await serve();
  };
  return { dataDir, folder, run, connect, served, refused, restart, adsum: () => adsum };
}

const create = async (run: (...args: string[]) => Promise<string>, ...args: string[]) => (await run('token', 'create', ...args)).trim();

describe('a token', () => {
  test('opens the proxies of its service, on its node, and no other; without one nothing is served', async () => {
    const { run, connect, served, refused } = await start();
    const web = await create(run, '--service', 'web');
    const there = await create(run, '--service', 'web', '--node', 'vm-2');
    await served(connect('web-sidecar-proxy', { token: web }));
    await served(connect('web-sidecar-proxy', { token: web, node: 'vm-2' }));
    await served(connect('web-sidecar-proxy', { bearer: web }));
    await served(connect('web-sidecar-proxy', { token: there, node: 'vm-2' }));
    await refused(connect('web-sidecar-proxy', { token: there }), /^PERMISSION_DENIED: the token of web-sidecar-proxy is not for the node vm-1/);
    await refused(connect('api-sidecar-proxy', { token: web }), /^PERMISSION_DENIED: the token of api-sidecar-proxy is not for the service api/);
    await refused(connect('api-sidecar-proxy'), /^PERMISSION_DENIED: api-sidecar-proxy does not prove that it is api: give it a token/);
    for (const bad of [
      '',
      'x',
      web.slice(0, -1),
      `${web}x`,
      `${web.slice(0, -1)}${web.endsWith('A') ? 'B' : 'A'}`,
      'adsum_',
      web.toUpperCase(),
      'x'.repeat(5_000),
    ]) {
      await refused(connect('web-sidecar-proxy', { token: bad }), /^PERMISSION_DENIED: /);
    }
  });

  test('is stored as a hash, outlives a restart, and several are valid at once', async () => {
    const { run, connect, served, restart, dataDir } = await start();
    const tokens = [await create(run, '--service', 'web'), await create(run, '--service', 'web', '--ttl', '720h')];
    const stored = readFileSync(path.join(dataDir, 'tokens.json'), 'utf8');
    const listed = await run('token', 'list');
    for (const token of tokens) {
      const secret = token.slice(-43);
      expect(stored).not.toContain(secret);
      expect(listed).not.toContain(secret);
    }
    expect(listed.split('\n')[1]).toMatch(/^[0-9a-f]{12} for web, made .*, until 20/);
    await restart();
    for (const token of tokens) await served(connect('web-sidecar-proxy', { token }));
  });

  test('that is revoked ends its streams, and leaves those of others alone', async () => {
    const { run, connect, served, refused } = await start();
    const [lost, kept] = [await create(run, '--service', 'web'), await create(run, '--service', 'web')];
    const [first, second] = [connect('web-sidecar-proxy', { token: lost }), connect('web-sidecar-proxy', { token: kept })];
    await served(first);
    await served(second);
    await run('token', 'revoke', lost.split('_')[1] ?? '');
    await until(() => first.end() !== undefined);
    expect(first.end()).toMatch(/^PERMISSION_DENIED: the token of web-sidecar-proxy is unknown here, was revoked or has expired/);
    expect(second.end()).toBeUndefined();
    await refused(connect('web-sidecar-proxy', { token: lost }), /was revoked/);
    await expect(run('token', 'revoke', '000000000000')).rejects.toThrow('there is no token 000000000000');
  });

  test('that expires ends its streams', async () => {
    const { run, connect, served } = await start();
    const stream = connect('web-sidecar-proxy', { token: await create(run, '--service', 'web', '--ttl', '3s') });
    await served(stream);
    await until(() => stream.end() !== undefined, 60_000);
    expect(stream.end()).toMatch(/^PERMISSION_DENIED: .*has expired/);
    expect(await run('token', 'list')).toBe('');
  });

  test('is asked about over the Unix socket only', async () => {
    const { adsum } = await start();
    expect((await adsum().get('/v1/tokens')).status).toBe(404);
    expect((await fetch(`${adsum().admin}/v1/tokens`, { method: 'POST' })).status).toBe(403);
  });
});

test('operators see who was refused and why', async () => {
  const { connect, refused, adsum } = await start();
  await refused(connect('api-sidecar-proxy'), /does not prove/);
  expect((await adsum().get('/v1/proxies/api-sidecar-proxy')).body).toMatchObject({
    refused: { reason: expect.stringContaining('adsum token create --service api') },
  });
});

describe('a client certificate', () => {
  const issue = async (run: (...args: string[]) => Promise<string>, folder: string, service: string) => {
    const out = path.join(folder, `leaf-${service}`);
    await run('ca', 'issue', '--service', service, '--out', out);
    return { cert: readFileSync(path.join(out, 'cert.pem'), 'utf8'), key: readFileSync(path.join(out, 'key.pem'), 'utf8') };
  };

  test("of the mesh's CA opens the proxies of its service; others count for nothing; a root that is added counts at once", async () => {
    const tls = await createServerCertificate(temporaryFolder(), 'localhost');
    const { run, connect, served, refused, folder } = await start({ tls });
    const web = await issue(run, folder, 'web');
    await served(connect('web-sidecar-proxy', { certificate: web }));
    await refused(connect('api-sidecar-proxy', { certificate: web }), /^PERMISSION_DENIED: the certificate of api-sidecar-proxy is not for the service api/);
    await refused(connect('web-sidecar-proxy'), /does not prove/);
    // another mesh's, with the very same SPIFFE ID
    const foreign = await start();
    await refused(connect('web-sidecar-proxy', { certificate: await issue(foreign.run, foreign.folder, 'web') }), /does not prove/);
    // a token beside a certificate of another service is enough
    await served(connect('api-sidecar-proxy', { certificate: web, token: await create(run, '--service', 'api') }));
    await run('ca', 'rotate');
    await served(connect('web-sidecar-proxy', { certificate: web }));
  });

  test('of a CA that is named counts, and that of the mesh no more', async () => {
    const tls = await createServerCertificate(temporaryFolder(), 'localhost');
    const other = await start();
    const certificate = await issue(other.run, other.folder, 'web');
    const ca = path.join(other.folder, 'leaf-web', 'ca.pem');
    const { run, connect, served, refused, folder } = await start({
      tls,
      args: ['--tls-cert', tls.cert, '--tls-key', tls.key, '--tls-client-ca', ca],
    });
    await served(connect('web-sidecar-proxy', { certificate }));
    await refused(connect('web-sidecar-proxy', { certificate: await issue(run, folder, 'web') }), /does not prove/);
  });
});

describe('a JWT', () => {
  test('of the issuer opens the proxies of the service it names; forged, foreign and old ones do not', async () => {
    const folder = temporaryFolder();
    const jwks = path.join(folder, 'jwks.json');
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const stranger = await generateKeyPair('ES256');
    writeFileSync(jwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] }));
    const { connect, served, refused } = await start({
      args: ['--jwt-issuer', 'https://issuer', '--jwt-jwks-file', jwks, '--jwt-audience', 'adsum'],
    });
    const jwt = (claims: { sub?: string; iss?: string; aud?: string; exp?: string }, key = privateKey, alg = 'ES256') => {
      const { sub = 'web', iss = 'https://issuer', aud = 'adsum', exp = '1h' } = claims;
      return new SignJWT().setProtectedHeader({ alg, kid: 'k' }).setSubject(sub).setIssuer(iss).setAudience(aud).setExpirationTime(exp).sign(key);
    };
    await served(connect('web-sidecar-proxy', { token: await jwt({}) }));
    await served(connect('web-sidecar-proxy', { bearer: await jwt({ sub: 'spiffe://td.consul/ns/default/dc/dc1/svc/web' }) }));
    const bad = [
      await jwt({ sub: 'api' }),
      await jwt({ iss: 'https://other' }),
      await jwt({ aud: 'other' }),
      await jwt({ exp: '-1h' }),
      await jwt({}, stranger.privateKey),
      // signed with the public key as a shared secret, and not signed at all
      await new SignJWT({ sub: 'web', iss: 'https://issuer', aud: 'adsum', exp: 4e9 })
        .setProtectedHeader({ alg: 'HS256' })
        .sign(new TextEncoder().encode(JSON.stringify(await exportJWK(publicKey)))),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"web","iss":"https://issuer","aud":"adsum","exp":4000000000}').toString('base64url')}.x`,
    ];
    for (const token of bad) await refused(connect('web-sidecar-proxy', { token }), /^PERMISSION_DENIED: /);
    writeFileSync(jwks, '{"keys":[]}');
    await until(async () => {
      const again = connect('web-sidecar-proxy', { token: await jwt({}) });
      await until(() => again.end() !== undefined || again.leafOf() !== undefined);
      return again.end() !== undefined;
    });
  });
});

test('a server certificate that is replaced in its files is served to new connections; open streams stay', async () => {
  const folder = temporaryFolder();
  const first = await createServerCertificate(path.join(folder), 'localhost', 'first');
  const second = await createServerCertificate(path.join(folder), 'localhost', 'second');
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem'), ca: first.ca };
  const put = (from: ServerFiles) => {
    copyFileSync(from.key, files.key);
    copyFileSync(from.cert, files.cert);
  };
  put(first);
  const { run, connect, served } = await start({ tls: files });
  const token = await create(run, '--service', 'web');
  const before = connect('web-sidecar-proxy', { token });
  await served(before);
  put(second);
  copyFileSync(second.ca, files.ca); // what the client trusts from now on: the first certificate is refused
  await until(async () => {
    const outcome = connect('web-sidecar-proxy', { token });
    await until(() => outcome.leafOf() !== undefined || outcome.end() !== undefined);
    return outcome.leafOf() !== undefined;
  });
  expect(before.end()).toBeUndefined();
  writeFileSync(files.key, 'no key');
  await served(connect('web-sidecar-proxy', { token }));
});

describe('without a flag', () => {
  test('loopback asks for nothing', async () => {
    const { served, connect } = await start({ args: [] });
    await served(connect('api-sidecar-proxy'));
  });

  test('off loopback a proof is asked for, unless everybody is let in on purpose', async () => {
    const grpcOn = async () => `0.0.0.0:${await freePort()}`;
    const closed = await start({ grpc: await grpcOn(), args: ['--insecure-plaintext'] });
    await closed.refused(closed.connect('api-sidecar-proxy'), /does not prove/);
    const open = await start({ grpc: await grpcOn(), args: ['--insecure-plaintext', '--allow-anonymous'] });
    await open.served(open.connect('api-sidecar-proxy'));
  });
});
