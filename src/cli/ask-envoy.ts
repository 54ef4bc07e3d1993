import { request } from 'node:http';
import type { AdminBind } from '../envoy/bootstrap.ts';

const ANSWER_WITHIN_MS = 2_000;

/** The answer of Envoy's own admin interface, whatever its status. Rejects when there is none within two seconds. */
export function askEnvoy(admin: AdminBind, method: string, path: string, signal: AbortSignal): Promise<string> {
  const where = 'socket' in admin ? { socketPath: admin.socket } : { host: dialable(admin.address), port: admin.port };
  return new Promise((resolve, reject) => {
    const within = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
    const sent = request({ ...where, method, path, signal: within, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => resolve(text));
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end();
  });
}

/** An address to listen on, as one to connect to. */
function dialable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  return address === '::' ? '::1' : address;
}
