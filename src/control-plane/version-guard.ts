import { type EnvoyVersion, untriedEnvoy } from '../envoy/tried-versions.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { ProxyDirectory } from '../server/proxy-directory.ts';
import type { AdmissionStatus, Refusal } from './admission.ts';
import { Refusals } from './refusals.ts';

/** Releases that the log names. A client may claim any, and each proxy is named in `adsum proxies` all the same. */
const MOST_NAMED = 64;

/** Stands in front of everything else: an Envoy that is too old is turned away with the reason, another one that adsum was not tried with is named. */
export class VersionGuard implements AdmissionStatus {
  readonly #logger: Logger;
  readonly #refusals: Refusals;
  /** Minor releases that the log has named: thousands of sidecars with the same Envoy are one line. */
  readonly #named = new Set<string>();

  constructor({ clock, logger }: { readonly clock: Clock; readonly logger: Logger }) {
    this.#logger = logger;
    this.#refusals = new Refusals(clock);
  }

  guard(inner: ProxyDirectory): ProxyDirectory {
    return {
      connect: (node, subscriber) => {
        const { id, nodeName, peer, envoyVersion } = node;
        const untried = envoyVersion && untriedEnvoy(envoyVersion);
        const fields = { proxy: id, node: nodeName, peer, reason: untried?.reason };
        if (untried && !untried.served) {
          if (this.#refusals.add(node, untried.reason)) this.#logger.warn(fields, 'stream refused');
          subscriber.end('INVALID_ARGUMENT', untried.reason);
          return { close() {} };
        }
        if (untried && this.#isNew(envoyVersion)) this.#logger.warn(fields, 'an Envoy that adsum was not tried with is served');
        this.#refusals.forget(node);
        return inner.connect(node, subscriber);
      },
    };
  }

  #isNew([major, minor]: EnvoyVersion): boolean {
    const release = `${major}.${minor}`;
    if (this.#named.has(release) || this.#named.size >= MOST_NAMED) return false;
    this.#named.add(release);
    return true;
  }

  held(): [] {
    return [];
  }

  refusals(): Refusal[] {
    return this.#refusals.list();
  }
}
