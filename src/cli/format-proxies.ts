import type { ProxyStatus } from '../admin/admin-api.ts';

/** The table `adsum proxies` prints. */
export function formatProxies(proxies: readonly ProxyStatus[]): string {
  if (proxies.length === 0) return 'no proxy is registered or connected\n';
  return proxies.map(formatProxy).join('');
}

function formatProxy(proxy: ProxyStatus): string {
  const head = `${proxy.id}${proxy.node ? ` on ${proxy.node}` : ''}: ${proxy.state}${proxy.reason ? ` (${proxy.reason})` : ''}\n`;
  return head + proxy.streams.map((stream) => `  ${JSON.stringify(stream)}\n`).join('');
}
