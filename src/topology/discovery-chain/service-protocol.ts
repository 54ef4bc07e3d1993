import type { ConfigEntries } from '../../mesh/mesh.ts';

/**
 * What callers speak to a service. A service-defaults entry decides alone: without a protocol of its own it means tcp, even
 * where proxy-defaults says otherwise. Only services without such an entry follow proxy-defaults. (Consul's chains, measured.)
 */
export function serviceProtocol(entries: ConfigEntries, service: string): string {
  const serviceDefaults = entries.get('service-defaults', service);
  const protocol = serviceDefaults ? serviceDefaults.protocol : proxyDefaultsProtocol(entries);
  return (protocol || 'tcp').toLowerCase();
}

function proxyDefaultsProtocol(entries: ConfigEntries): string | undefined {
  const proxyDefaults = entries.get('proxy-defaults', 'global');
  const configured = proxyDefaults?.config?.protocol;
  return typeof configured === 'string' ? configured : proxyDefaults?.protocol;
}
