// Sidecars get their private keys from the control plane, so the way there is TLS: a certificate for its address, trusted as it is.
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const dayMs = 86_400_000;

/** Writes xds-cert.pem and xds-key.pem into the folder and returns their paths. */
export async function writeXdsCertificate(folder, address) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=adsum demo',
      notBefore: new Date(Date.now() - dayMs),
      notAfter: new Date(Date.now() + 7 * dayMs),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true), new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: address }])],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const files = { certificate: path.join(folder, 'xds-cert.pem'), key: path.join(folder, 'xds-key.pem') };
  writeFileSync(files.certificate, `${certificate.toString('pem')}\n`);
  writeFileSync(files.key, `-----BEGIN PRIVATE KEY-----\n${key.match(/.{1,64}/g).join('\n')}\n-----END PRIVATE KEY-----\n`);
  return files;
}
