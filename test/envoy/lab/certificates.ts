import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import type { ControlPlane } from './control-plane.ts';

export interface ClientCertificate {
  cert: string;
  key: string;
}

/** A leaf of the mesh's own CA, as an operator gets one: `adsum ca issue`. */
export async function issueLeaf(control: ControlPlane, service: string): Promise<ClientCertificate> {
  const folder = control.writableFolder(`leaf-${service}`);
  await control.run('ca', 'issue', '--service', service, '--out', folder);
  return { cert: readFileSync(path.join(folder, 'cert.pem'), 'utf8'), key: readFileSync(path.join(folder, 'key.pem'), 'utf8') };
}

/** A certificate nobody signed that claims a SPIFFE ID. */
export async function selfSignedLeaf(spiffeId: string): Promise<ClientCertificate> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId }])],
    },
    webcrypto,
  );
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { cert: certificate.toString('pem'), key };
}
