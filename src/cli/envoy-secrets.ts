import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BootstrapInput } from '../envoy/bootstrap.ts';
import { buildCertificateSds, buildTokenSds } from '../envoy/bootstrap-secrets.ts';

/**
 * Files through which Envoy finds the token and the certificate again when theirs are replaced. They hold paths and no secret, so it does
 * no harm when they are left behind.
 */
export class EnvoySecrets {
  #folder: string | undefined;

  /** The same input, with secrets in files read again whenever they are replaced. */
  watched(input: BootstrapInput): BootstrapInput {
    const { token, clientCertificate } = input;
    return {
      ...input,
      ...(token && 'file' in token ? { token: { ...token, sds: this.#write('token.json', buildTokenSds(token.file)) } } : {}),
      ...(clientCertificate
        ? { clientCertificate: { ...clientCertificate, sds: this.#write('certificate.json', buildCertificateSds(clientCertificate)) } }
        : {}),
    };
  }

  remove(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #write(name: string, content: object): string {
    this.#folder ??= mkdtempSync(path.join(tmpdir(), 'adsum-envoy-'));
    const file = path.join(this.#folder, name);
    writeFileSync(file, JSON.stringify(content), { mode: 0o600 });
    return file;
  }
}
