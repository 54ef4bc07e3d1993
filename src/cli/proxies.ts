import type { Command } from 'commander';
import type { ProxyStatus } from '../admin/admin-api.ts';
import { addAdminAddr, addAdminToken, adminClientFor } from './admin-client.ts';
import type { CliIo } from './cli-io.ts';
import { formatProxies } from './format-proxies.ts';

export function registerProxies(program: Command, io: CliIo): void {
  const command = program.command('proxies').description('who is connected, and per resource type what was sent, acknowledged and rejected');
  addAdminToken(addAdminAddr(command))
    .option('--json', 'as JSON')
    .action(async (options: { json?: boolean }) => {
      const answer = (await adminClientFor(command, io).get('/v1/proxies')) as { proxies: ProxyStatus[] };
      io.out(options.json ? `${JSON.stringify(answer, null, 2)}\n` : formatProxies(answer.proxies));
    });
}
