import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { readNamedFile } from '../runtime/named-file.ts';
import { Reloaded } from '../runtime/reloaded.ts';
import type { ServerCertificate } from '../server/tls-credentials.ts';

/** The certificate of the xDS port, from files. Whoever renews them need not restart adsum. @throws FileError, Error */
export function certificateFromFiles(files: { cert: string; key: string }, context: { clock: Clock; logger: Logger }): Reloaded<ServerCertificate> {
  const read = () => {
    const pair = { cert: readNamedFile(files.cert, '--tls-cert'), key: readNamedFile(files.key, '--tls-key') };
    check(pair);
    return pair;
  };
  return new Reloaded({ read, what: 'the certificate of the xDS port', ...context });
}

/** PEM certificates of the CAs that sign client certificates. @throws FileError, Error */
export function clientCaFromFile(file: string, context: { clock: Clock; logger: Logger }): Reloaded<string> {
  const read = () => {
    const text = readNamedFile(file, '--tls-client-ca');
    if (certificatesIn(text).length === 0) throw new Error('--tls-client-ca holds no PEM certificate');
    return text;
  };
  return new Reloaded({ read, what: 'the CA of client certificates', ...context });
}

/** @throws when one of them cannot be read */
export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Messages of the parsers are left out: they may quote the key. */
function check({ cert, key }: ServerCertificate): void {
  let fits: boolean;
  try {
    createSecureContext({ cert, key });
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    throw new Error('--tls-cert and --tls-key are no certificate chain with its private key, in PEM');
  }
  if (!fits) throw new Error('--tls-key is not the private key of --tls-cert');
}
