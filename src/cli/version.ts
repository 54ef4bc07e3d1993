import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { CliIo } from './cli-io.ts';

/** The version in package.json, which lies two folders up from src/cli and from dist/cli alike. */
export function adsumVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}

export function registerVersion(program: Command, io: CliIo): void {
  program
    .command('version')
    .description('print the version')
    .action(() => io.out(`${adsumVersion()}\n`));
}
