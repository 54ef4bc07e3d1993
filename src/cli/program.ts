import { Command } from 'commander';
import { registerBootstrap } from './bootstrap.ts';
import { registerCa } from './ca.ts';
import { UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { registerConfigDump } from './config-dump.ts';
import { registerEnvoy } from './envoy.ts';
import { registerIntention } from './intention.ts';
import { addLogOptions } from './log-options.ts';
import { registerProxies } from './proxies.ts';
import { registerRedirectTraffic } from './redirect-traffic.ts';
import { registerServe } from './serve.ts';
import { registerTls } from './tls.ts';
import { registerToken } from './token.ts';
import { registerValidate } from './validate.ts';
import { adsumVersion, registerVersion } from './version.ts';

/** A command adds itself to the program; what it needs of the process comes with `io`. */
export type RegisterCommand = (program: Command, io: CliIo) => void;

/** In the order of `adsum --help`. */
const COMMANDS: readonly RegisterCommand[] = [
  registerServe,
  registerBootstrap,
  registerEnvoy,
  registerRedirectTraffic,
  registerValidate,
  registerIntention,
  registerProxies,
  registerConfigDump,
  registerCa,
  registerToken,
  registerTls,
  registerVersion,
];

/** Commands that hand what follows `--` to another program. */
const TAKES_DASHES: ReadonlySet<string> = new Set(['envoy']);

/** The whole command line of adsum. Parsing throws (exitOverride) and prints through `io`; it never ends the process. */
export function buildProgram(io: CliIo, commands: readonly RegisterCommand[] = COMMANDS): Command {
  const program = new Command('adsum');
  program
    .description('An xDS control plane that gives Envoy sidecars the service mesh of Consul')
    .version(adsumVersion(), '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: io.out,
      writeErr: io.err,
      outputError: (text, write) => write(text.replace(/^error: /, 'adsum: ')),
    })
    .showSuggestionAfterError(true)
    .hook('preAction', (_program, command) => {
      if (io.afterDashes.length > 0 && !TAKES_DASHES.has(command.name())) throw new UsageError(`${command.name()} takes nothing after --`);
    });
  addLogOptions(program);
  for (const register of commands) register(program, io);
  return program;
}
