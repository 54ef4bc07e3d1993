import type { EntryLookup } from './mesh.ts';

export type Protocol = 'tcp' | 'http' | 'http2' | 'grpc';

const PROTOCOLS: readonly string[] = ['tcp', 'http', 'http2', 'grpc'];

/**
 * What callers speak to a service. A service-defaults entry decides alone: without a protocol of its own it means tcp, even where
 * proxy-defaults say otherwise (Consul's chains, measured). Only services without such an entry follow proxy-defaults
 * (`config.protocol`, which is where Consul looks, or `protocol`). A protocol in one proxy's own `config`, and what its listener
 * takes over from both entries, count for that listener only.
 */
export function protocolByEntries(entries: EntryLookup, service: string): Protocol {
  const own = entries.get('service-defaults', service);
  const defaults = entries.get('proxy-defaults', 'global');
  const general = defaults?.config?.protocol ?? defaults?.protocol;
  const word = own ? own.protocol : typeof general === 'string' ? general.toLowerCase() : undefined;
  return word !== undefined && isProtocol(word) ? word : 'tcp';
}

export function isProtocol(word: string): word is Protocol {
  return PROTOCOLS.includes(word);
}
