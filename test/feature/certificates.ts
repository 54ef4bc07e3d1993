import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** PEM files. */
export interface ServerFiles {
  readonly cert: string;
  readonly key: string;
  /** What a client must trust. */
  readonly ca: string;
}

/** A self-signed certificate for a host on loopback. */
export async function createServerCertificate(folder: string, host: string, name = 'server'): Promise<ServerFiles> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: host },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    },
    webcrypto,
  );
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  const files = { cert: path.join(folder, `${name}-cert.pem`), key: path.join(folder, `${name}-key.pem`), ca: path.join(folder, `${name}-ca.pem`) };
  for (const [file, pem] of [
    [files.cert, certificate.toString('pem')],
    [files.key, key],
    [files.ca, certificate.toString('pem')],
  ] as const) {
    writeFileSync(file, pem, { mode: 0o600 });
  }
  return files;
}
