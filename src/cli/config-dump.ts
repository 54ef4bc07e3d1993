import type { Command } from 'commander';
import { addAdminAddr, addAdminToken, adminClientFor } from './admin-client.ts';
import type { CliIo } from './cli-io.ts';

export function registerConfigDump(program: Command, io: CliIo): void {
  const command = program.command('config-dump').description('the resources adsum holds for a proxy, as JSON, without private keys').argument('<proxy-id>');
  addAdminToken(addAdminAddr(command))
    .option('--node-name <node>', 'which node, where the ID is used on several')
    .action(async (id: string, options: { nodeName?: string }) => {
      const query = options.nodeName ? `?node=${encodeURIComponent(options.nodeName)}` : '';
      const config = await adminClientFor(command, io).get(`/v1/proxies/${encodeURIComponent(id)}/config${query}`);
      io.out(`${JSON.stringify(config, null, 2)}\n`);
    });
}
