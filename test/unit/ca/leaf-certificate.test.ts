// Before the X.509 library is loaded.
import 'reflect-metadata';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as ParsedCertificate,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
} from '@peculiar/x509';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLeaf, loadSigner } from '../../../src/ca/leaf-certificate.ts';
import { createRoot } from '../../../src/ca/root-certificate.ts';
import { temporaryFolder } from './temporary-folder.ts';

const HOUR = 3_600_000;
const now = Math.floor(Date.now() / 1000) * 1000;
const root = await createRoot('adsum root 1', 'spiffe://example.consul', { notBefore: now - HOUR, notAfter: now + 87_600 * HOUR });
const signer = loadSigner(root.certificate, root.privateKey);
const uri = 'spiffe://example.consul/ns/default/dc/dc1/svc/api';
const validity = { notBefore: now - HOUR, notAfter: now + 72 * HOUR };

describe('a leaf', () => {
  test('says what the X.509 library and OpenSSL expect, each extension once and as critical as it should be', async () => {
    const { certificate, privateKey, serial } = await createLeaf('api', uri, validity, signer);
    const leaf = new ParsedCertificate(certificate);
    const parent = new ParsedCertificate(root.certificate);
    expect(leaf.subject).toBe('CN=api');
    expect(leaf.issuer).toBe(parent.subject);
    expect(leaf.serialNumber).toBe(serial);
    expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
    expect([leaf.notBefore.getTime(), leaf.notAfter.getTime()]).toEqual([validity.notBefore, validity.notAfter]);
    expect(leaf.extensions.map(({ type, critical }) => `${type}${critical ? ' critical' : ''}`).sort()).toEqual([
      '2.5.29.14',
      '2.5.29.15 critical',
      '2.5.29.17',
      '2.5.29.19 critical',
      '2.5.29.35',
      '2.5.29.37',
    ]);
    expect(leaf.getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([{ type: 'url', value: uri }]);
    expect(leaf.getExtension(BasicConstraintsExtension)?.ca).toBe(false);
    expect(leaf.getExtension(KeyUsagesExtension)?.usages).toBe(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyAgreement);
    expect(leaf.getExtension(ExtendedKeyUsageExtension)?.usages).toEqual([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]);
    const own = await SubjectKeyIdentifierExtension.create(leaf.publicKey, false, webcrypto);
    expect(leaf.getExtension(SubjectKeyIdentifierExtension)?.keyId).toBe(own.keyId);
    expect(leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId).toBe(parent.getExtension(SubjectKeyIdentifierExtension)?.keyId);
    expect(await leaf.verify({ publicKey: parent.publicKey, date: new Date(now) }, webcrypto)).toBe(true);
    const native = new X509Certificate(certificate);
    expect(native.checkIssued(new X509Certificate(root.certificate))).toBe(true);
    expect(native.checkPrivateKey(createPrivateKey(privateKey))).toBe(true);
    expect(native.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    // The same text that an encoder of its own would write.
    expect(certificate).toBe(`${leaf.toString('pem')}\n`);
  });

  test.skipIf(spawnSync('openssl', ['version']).status !== 0)(
    'stands up to `openssl verify`, strictly, for both sides (skipped where there is no openssl)',
    async () => {
      const { certificate } = await createLeaf('api', uri, validity, signer);
      const folder = temporaryFolder();
      writeFileSync(path.join(folder, 'root.pem'), root.certificate);
      writeFileSync(path.join(folder, 'leaf.pem'), certificate);
      for (const purpose of ['sslclient', 'sslserver']) {
        const run = spawnSync('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'root.pem', 'leaf.pem'], { cwd: folder, encoding: 'utf8' });
        expect(`${run.stdout}${run.stderr}`).toBe('leaf.pem: OK\n');
      }
    },
  );

  test('is right for every name and time', async () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_-]{1,300}$/);
    const second = (ms: number) => Math.floor(ms / 1000) * 1000;
    const times = fc.tuple(fc.nat({ max: 4_000_000_000_000 }), fc.nat({ max: 400_000_000_000 }));
    await fc.assert(
      fc.asyncProperty(segment, times, async (service, [from, long]) => {
        const within = { notBefore: second(from), notAfter: second(from + long) };
        const leaf = new X509Certificate((await createLeaf(service, `spiffe://a/svc/${service}`, within, signer)).certificate);
        expect(leaf.subjectAltName).toBe(`URI:spiffe://a/svc/${service}`);
        expect(leaf.subject).toBe(`CN=${service.slice(0, 64)}`);
        expect([Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]).toEqual([within.notBefore, within.notAfter]);
        expect(leaf.verify(new X509Certificate(root.certificate).publicKey)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

test('a signer needs an EC key, and a certificate', () => {
  expect(() => loadSigner('no certificate', root.privateKey)).toThrow();
  const { privateKey } = generateKeyPairSync('ed25519');
  expect(() => loadSigner(root.certificate, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toThrow('an EC key is needed');
});
