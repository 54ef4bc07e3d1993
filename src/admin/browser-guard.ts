import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { AdminError } from './admin-api.ts';

/**
 * Refuses what a web page makes a browser ask for on its behalf. The browser runs on a host where nobody is asked for a token, so its
 * user's pages must not be able to read here: neither across sites, nor with a name of theirs that they let point to this host
 * (DNS rebinding). Tools send none of these headers but `Host`.
 * @param names by which this server may be called, beside IP addresses and `localhost`
 * @throws AdminError
 */
export function refuseForeignPages(headers: IncomingHttpHeaders, names: readonly string[]): void {
  const host = hostIn(headers.host);
  if (host === undefined || (!isIP(host) && host !== 'localhost' && !names.includes(host))) {
    throw new AdminError(403, 'the Host header names no address of this server: ask by IP address, or as localhost');
  }
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw new AdminError(403, 'pages of other sites may not ask here');
  const { origin } = headers;
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === headers.host)) {
    throw new AdminError(403, 'pages of other origins may not ask here');
  }
}

/** The name or address, in lower case and without brackets and port; undefined when it is none. */
function hostIn(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '');
}
