import type { Command } from 'commander';
import { buildBootstrap } from '../envoy/bootstrap.ts';
import { addBootstrapOptions, bootstrapInput } from './bootstrap-options.ts';
import type { CliIo } from './cli-io.ts';

export function registerBootstrap(program: Command, io: CliIo): void {
  const command = program.command('bootstrap').description('print the configuration an Envoy sidecar starts with, as JSON');
  addBootstrapOptions(command).action(async () => {
    io.out(`${JSON.stringify(buildBootstrap(await bootstrapInput(command, io)), null, 2)}\n`);
  });
}
