import type { ConfigEntries } from './mesh.ts';

export type Protocol = 'tcp' | 'http' | 'http2' | 'grpc';

const PROTOCOLS: readonly string[] = ['tcp', 'http', 'http2', 'grpc'];

/**
 * What a service speaks according to the config entries: its service-defaults, else proxy-defaults (`config.protocol`, which is
 * where Consul looks, or `protocol`), else tcp. A protocol in one proxy's own `config` counts for that proxy's listener only.
 */
export function protocolByEntries(entries: ConfigEntries, service: string): Protocol {
  const own = entries.get('service-defaults', service)?.protocol;
  const defaults = entries.get('proxy-defaults', 'global');
  const general = defaults?.config?.protocol ?? defaults?.protocol;
  const word = own ?? (typeof general === 'string' ? general.toLowerCase() : undefined);
  return word !== undefined && isProtocol(word) ? word : 'tcp';
}

function isProtocol(word: string): word is Protocol {
  return PROTOCOLS.includes(word);
}
