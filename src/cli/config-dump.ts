import type { Command } from 'commander';
import { addAdminAddr, addAdminToken, adminClientFor } from './admin-client.ts';
import type { CliIo } from './cli-io.ts';

export function registerConfigDump(program: Command, io: CliIo): void {
  const command = program.command('config-dump').description('the resources adsum holds for a proxy, as JSON, without private keys').argument('<proxy-id>');
  addAdminToken(addAdminAddr(command))
    .option('--node-name <node>', 'which node, where the ID is used on several')
    .option('--wanted', 'what the mesh makes of the proxy now, instead of what it was given last')
    .action(async (id: string, options: { nodeName?: string; wanted?: boolean }) => {
      const parameters = new URLSearchParams({ ...(options.nodeName ? { node: options.nodeName } : {}), ...(options.wanted ? { wanted: 'true' } : {}) });
      const query = parameters.size > 0 ? `?${parameters}` : '';
      const config = await adminClientFor(command, io).get(`/v1/proxies/${encodeURIComponent(id)}/config${query}`);
      io.out(`${JSON.stringify(config, null, 2)}\n`);
    });
}
