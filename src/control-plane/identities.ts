import type { Authority } from '../ca/authority.ts';
import type { LeafStore } from '../ca/leaf-store.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Identities } from './reconciler.ts';

export interface IdentityOptions {
  readonly ca: Pick<Authority, 'roots' | 'onChange'>;
  readonly leaves: LeafStore;
  readonly logger: Logger;
  /** A service's leaf is there, or was renewed; without an argument, what is trusted changed. */
  readonly changed: (service?: string) => void;
}

/** The CA as the reconciler sees it: one leaf per service, however many of its proxies are connected. */
export function createIdentities({ ca, leaves, logger, changed }: IdentityOptions): Identities {
  const users = new Map<string, number>();
  leaves.onRenewed((service) => changed(service));
  ca.onChange((change) => {
    if (change === 'roots') changed();
  });
  return {
    roots: () => ca.roots(),
    leaf: (service) => leaves.get(service),
    use(service) {
      const before = users.get(service) ?? 0;
      users.set(service, before + 1);
      if (before > 0) return;
      leaves.ensure(service).then(
        () => changed(service),
        (error: unknown) => logger.error({ service, error: String(error) }, 'no leaf certificate could be issued; it is tried again'),
      );
    },
    release(service) {
      const left = (users.get(service) ?? 0) - 1;
      if (left > 0) users.set(service, left);
      else {
        users.delete(service);
        leaves.retainOnly(new Set(users.keys()));
      }
    },
  };
}
