import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { expect, test } from 'vitest';
import type { CaStatus } from '../../src/admin/admin-api.ts';
import { runAdsum, serveAdsum, temporaryFolder, until } from './run-adsum.ts';

const MESH = 'nodes: [{ name: n1, address: 10.0.0.1, services: [{ name: api, port: 90, connect: { sidecar_service: {} } }] }]\n';

async function start(args: readonly string[] = []) {
  const folder = temporaryFolder();
  const file = path.join(folder, 'mesh.yaml');
  writeFileSync(file, MESH);
  const dataDir = path.join(folder, 'data');
  const adsum = await serveAdsum(file, { dataDir, args });
  const run = (...command: string[]) => runAdsum([...command, '--admin-addr', `unix://${path.join(dataDir, 'admin.sock')}`]);
  const roots = async () => ((await adsum.get('/v1/ca/roots')).body as CaStatus).roots.map(({ pem }) => pem);
  return { folder, adsum, run, roots };
}

/** What the server shows to a client that trusts only these; throws where the client refuses it. */
function handshake(address: string, ca: readonly string[], servername: string): Promise<X509Certificate | undefined> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port: Number(port), ca: [...ca], ...(servername === '' ? {} : { servername }), ALPNProtocols: ['h2'] }, () => {
      resolve(socket.getPeerX509Certificate());
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test("with --tls-name the xDS port has a certificate of the mesh's CA, which clients of before a rotation trust as well as those of after it", async () => {
  const { adsum, run, roots } = await start(['--tls-name', 'adsum.example', '--tls-name', '127.0.0.1']);
  const before = await roots();
  const shown = await handshake(adsum.grpc, before, 'adsum.example');
  expect(shown?.subjectAltName).toBe('DNS:adsum.example, IP Address:127.0.0.1');
  await expect(handshake(adsum.grpc, before, 'other.example')).rejects.toThrow();
  await run('ca', 'rotate');
  await until(async () => (await roots()).length === 2);
  const after = await roots();
  expect((await handshake(adsum.grpc, before, 'adsum.example'))?.subjectAltName).toContain('adsum.example');
  expect((await handshake(adsum.grpc, after, 'adsum.example'))?.subjectAltName).toContain('adsum.example');
});

test('tls create writes a server certificate, which gives nobody the identity of a service', async () => {
  const { folder, run, roots } = await start();
  const out = path.join(folder, 'tls');
  expect(await run('tls', 'create', '--name', 'adsum.example', '--name', '10.0.0.10', '--ttl', '24h', '--out', out)).toMatchObject({ status: 0 });
  const certificate = new X509Certificate(readFileSync(path.join(out, 'cert.pem')));
  expect(certificate.subjectAltName).toBe('DNS:adsum.example, IP Address:10.0.0.10');
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']); // TLS server, not client
  expect(certificate.ca).toBe(false);
  expect(certificate.verify(new X509Certificate((await roots())[0] ?? '').publicKey)).toBe(true);
  expect(Date.parse(certificate.validTo) - Date.now()).toBeLessThan(24 * 3_600_000);
  expect(statSync(path.join(out, 'key.pem')).mode & 0o777).toBe(0o600);
  expect(await run('tls', 'create', '--name', 'spiffe://td/x', '--out', out)).toMatchObject({
    status: 1,
    err: expect.stringContaining('neither a DNS name nor an IP address'),
  });
});
