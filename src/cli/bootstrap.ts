import type { Command } from 'commander';
import { buildBootstrap } from '../envoy/bootstrap.ts';
import { addBootstrapOptions, bootstrapInput } from './bootstrap-options.ts';
import type { CliIo } from './cli-io.ts';

/** As in Consul. Every user of the host reaches it; `adsum envoy` takes a Unix socket instead. */
const DEFAULT_ADMIN = { address: '127.0.0.1', port: 19_000 };

export function registerBootstrap(program: Command, io: CliIo): void {
  const command = program.command('bootstrap').description('print the configuration an Envoy sidecar starts with, as JSON');
  addBootstrapOptions(command, 'default 127.0.0.1:19000').action(async (flags: { adminBind?: string }) => {
    const input = await bootstrapInput(command, io);
    const bootstrap = buildBootstrap(flags.adminBind === undefined ? { ...input, admin: DEFAULT_ADMIN } : input);
    io.out(`${JSON.stringify(bootstrap, null, 2)}\n`);
  });
}
