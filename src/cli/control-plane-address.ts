import { isIP } from 'node:net';
import type { ControlPlaneAddress } from '../envoy/bootstrap.ts';
import { UsageError } from './cli-error.ts';
import { parseHostPort } from './host-port.ts';

/** Where Envoy finds adsum: `HOST:PORT` with an IP address or a DNS name, or `unix:///path`. @throws UsageError naming the flag */
export function parseControlPlane(text: string, flag: string): ControlPlaneAddress {
  const path = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (path) return { kind: 'unix', path };
  const { host, port } = parseHostPort(text, flag);
  if (port === 0) throw new UsageError(`${flag} '${text}': a port from 1 to 65535 is needed`);
  if (host === '0.0.0.0' || host === '::') throw new UsageError(`${flag} '${text}': the address to connect to is needed, not the one to listen on`);
  if (isIP(host)) return { kind: 'ip', host, port };
  if (!isDnsName(host)) throw new UsageError(`${flag}: '${host}' is neither an IP address nor a DNS name`);
  return { kind: 'dns', host, port };
}

/** Letters, digits, hyphens, underscores; a last label of digits alone would be a mistyped IPv4 address. */
function isDnsName(name: string): boolean {
  const labels = name.replace(/\.$/, '').split('.');
  return labels.every((label) => /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '');
}
