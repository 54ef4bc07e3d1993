import type { ProxyStatus } from '../admin/admin-api.ts';
import type { TypeJson } from '../admin/stream-json.ts';
import { printableLine } from '../runtime/foreign-text.ts';

/** What `adsum proxies` prints: a line per proxy, a line per resource type under it, rejections with Envoy's own words. */
export function formatProxies(proxies: readonly ProxyStatus[]): string {
  if (proxies.length === 0) return 'no proxy is registered or connected\n';
  return proxies.map(formatProxy).join('');
}

function formatProxy(proxy: ProxyStatus): string {
  const name = printableLine(`${proxy.id}${proxy.node ? ` on ${proxy.node}` : ''}`);
  const streams = proxy.streams.map((stream) => {
    const envoy = stream.envoy_version ? `Envoy ${stream.envoy_version}` : 'a client';
    const waits = stream.reason && stream.reason !== proxy.reason ? `    waits: ${printableLine(stream.reason)}\n` : '';
    return `  ${envoy} at ${stream.peer}, ${stream.variant}, since ${stream.connected_at}\n${waits}${stream.warning ? `    WARNING: ${printableLine(stream.warning)}\n` : ''}${stream.types.map(formatType).join('')}`;
  });
  const refused = proxy.refused ? `  REFUSED at ${proxy.refused.at}, ${proxy.refused.peer}: ${printableLine(proxy.refused.reason)}\n` : '';
  const notTaken = (proxy.refused_resources ?? []).map(({ type, name: resource, at, error, closed }) => {
    const instead = closed ? 'nobody may call the service until it changes' : 'what it had before stays in force';
    return `  NOT TAKEN since ${at}, ${instead}: ${printableLine(`${type} ${resource}: ${error}`)}\n`;
  });
  return `${name}: ${proxy.state}${proxy.reason ? ` (${printableLine(proxy.reason)})` : ''}\n${refused}${notTaken.join('')}${streams.join('')}`;
}

function formatType({ type, wildcard, names, sent, acked, nacked, pending }: TypeJson): string {
  const asked = [wildcard ? 'all' : '', names > 0 ? `${names} by name` : ''].filter(Boolean).join(' and ') || 'none';
  const parts = [
    `asked for ${asked}`,
    sent ? `sent ${sent.resources}${sent.removed > 0 ? ` and removed ${sent.removed}` : ''} at ${sent.at}` : 'nothing sent',
    ...(acked ? [`acked at ${acked.at}`] : []),
    ...(pending ? ['pending'] : []),
  ];
  const refusal = nacked ? `      REJECTED at ${nacked.at}: ${printableLine(`${nacked.resources.join(', ')}: ${nacked.error}`)}\n` : '';
  return `    ${type.padEnd(8)} ${parts.join(', ')}\n${refusal}`;
}
