// The X.509 library resolves its parts through decorators and needs this before it is loaded.
import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { KeyedCertificate, Validity } from './certificate.ts';
import { randomSerial } from './leaf-certificate.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * A certificate for a TLS server that is called by DNS names or IP addresses. It carries no SPIFFE ID and may not be shown by a client, so
 * that it gives nobody the identity of a service.
 */
export async function createServerCertificate(
  names: readonly string[],
  validity: Validity,
  root: { certificate: string; privateKey: string },
): Promise<KeyedCertificate> {
  const issuer = new X509Certificate(root.certificate);
  const der = createPrivateKey(root.privateKey).export({ type: 'pkcs8', format: 'der' });
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: randomSerial().toString('hex'),
      subject: [{ CN: ['adsum'] }],
      issuer: issuer.subjectName,
      notBefore: new Date(validity.notBefore),
      notAfter: new Date(validity.notAfter),
      publicKey: keys.publicKey,
      signingKey: await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']),
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: `${certificate.toString('pem')}\n`,
    privateKey: `${PemConverter.encode(key, 'PRIVATE KEY')}\n`,
    serial: certificate.serialNumber,
    ...validity,
  };
}
