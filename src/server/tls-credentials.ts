import * as grpc from '@grpc/grpc-js';
import type { Watchable } from '../runtime/watchable.ts';

/** Both PEM; the chain has the server's own certificate first. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface TlsOptions {
  /** New connections get what it is at the time. */
  readonly certificate: Watchable<ServerCertificate>;
  /**
   * PEM of the CAs whose client certificates count. Given, clients are asked for one; whoever has none, or one of another CA, is let in
   * without: what it may have is decided later.
   */
  readonly clientCa?: Watchable<string>;
}

export function tlsCredentials({ certificate, clientCa }: TlsOptions): grpc.ServerCredentials {
  const identity = provide(certificate, ({ cert, key }) => ({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) }));
  const authorities = clientCa && provide(clientCa, (pem) => ({ caCertificate: Buffer.from(pem) }));
  const nobody: Listeners<grpc.experimental.CaCertificateUpdateListener> = { add() {}, remove() {} };
  const provider: grpc.experimental.CertificateProvider = {
    addIdentityCertificateListener: identity.add,
    removeIdentityCertificateListener: identity.remove,
    addCaCertificateListener: (authorities ?? nobody).add,
    removeCaCertificateListener: (authorities ?? nobody).remove,
  };
  // grpc-js names its parameters the other way round than it uses them: first who the server is, then whom it trusts
  return grpc.experimental.createCertificateProviderServerCredentials(provider, clientCa ? provider : null, false);
}

interface Listeners<Listener> {
  add(listener: Listener): void;
  remove(listener: Listener): void;
}

/** Tells each listener what is so now, in its own turn as grpc-js expects, and what it changes to. */
function provide<Value, Update>(source: Watchable<Value>, toUpdate: (value: Value) => Update): Listeners<(update: Update) => void> {
  const stops = new Map<(update: Update) => void, () => void>();
  return {
    add(listener) {
      const tell = () => {
        if (stops.has(listener)) listener(toUpdate(source.value));
      };
      stops.set(listener, source.onChange(tell));
      process.nextTick(tell);
    },
    remove(listener) {
      stops.get(listener)?.();
      stops.delete(listener);
    },
  };
}
