import { takesVirtualIp } from '../../mesh/entry-traits.ts';
import { foldName } from '../../mesh/service-names.ts';
import type { CatalogInstances } from './catalog-reader.ts';
import type { ReadEntries } from './config-entry-reader.ts';

/**
 * Every name that Consul gives a virtual IP, and the indexes at which what keeps it alive was created. Consul frees the address
 * when the last of them goes; a name that comes back may then get another.
 */
export function virtualIpHolders(catalog: CatalogInstances, { entries, createIndexes }: ReadEntries): Map<string, Set<number>> {
  const holders = new Map<string, Set<number>>();
  // Consul has one address for all spellings of a name.
  const hold = (written: string, index: number) => {
    const name = foldName(written);
    const indexes = holders.get(name);
    if (indexes) indexes.add(index);
    else holders.set(name, new Set([index]));
  };
  const gateways = new Map<string, string[]>();
  for (const [at, entry] of entries.entries()) {
    if (takesVirtualIp(entry)) hold(entry.name, createIndexes[at] ?? 0);
    if (entry.kind === 'terminating-gateway')
      gateways.set(
        foldName(entry.name),
        entry.services.map(({ name }) => name).filter((name) => name !== '*'),
      );
  }
  for (const [at, instance] of catalog.instances.entries()) {
    const index = catalog.createIndexes[at] ?? 0;
    if (instance.kind === 'connect-proxy' && instance.proxy) hold(instance.proxy.destination_service_name, index);
    else if (instance.connectNative) hold(instance.service, index);
    else if (instance.kind === 'terminating-gateway') for (const name of gateways.get(foldName(instance.service)) ?? []) hold(name, index);
  }
  return holders;
}
