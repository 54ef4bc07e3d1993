import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { type AdminBind, buildBootstrap } from '../envoy/bootstrap.ts';
import { addBootstrapOptions, bootstrapInput } from './bootstrap-options.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { drainEnvoy } from './drain-envoy.ts';
import { adminSocket } from './envoy-admin-socket.ts';
import { findEnvoy, unusable } from './envoy-binary.ts';
import { EnvoySecrets } from './envoy-secrets.ts';
import { watchRedirect } from './watch-redirect.ts';

/**
 * How long Envoy lets connections of changed filter chains live. Its own default of 600 s keeps a connection that an intention
 * now forbids open for ten minutes.
 */
const DRAIN_TIME_S = 30;

/** Below the 30 s that Kubernetes gives a container between SIGTERM and SIGKILL. */
const SHUTDOWN_GRACE_S = 20;

/** With any of these the user takes hot restart into his own hands. */
const HOT_RESTART_FLAGS = [
  '--base-id',
  '--base-id-path',
  '--use-dynamic-base-id',
  '--restart-epoch',
  '--disable-hot-restart',
  '--parent-shutdown-time-s',
  '--socket-path',
];
const CONFIG_FLAGS = ['-c', '--config-path', '--config-yaml'];
/** Passed on as they come; the first SIGTERM drains first. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];
/** The descriptor on which Envoy finds its bootstrap. */
const BOOTSTRAP_FD = 3;

export function registerEnvoy(program: Command, io: CliIo): void {
  const command = program
    .command('envoy')
    .description('run Envoy as a sidecar; what follows -- goes to Envoy')
    .usage('[options] [-- ENVOY OPTIONS]')
    .option('--envoy-binary <file>', 'also ENVOY_BIN; default: envoy on PATH')
    .option('--shutdown-grace-s <seconds>', 'how long requests in flight may go on after SIGTERM; 0: Envoy ends at once', String(SHUTDOWN_GRACE_S));
  addBootstrapOptions(command, 'default: a Unix socket for this user alone').action(async (flags: EnvoyFlags) => {
    const surplus = io.afterDashes.find((arg) => hasFlag([arg], CONFIG_FLAGS));
    if (surplus) throw new UsageError(`${surplus} cannot be given: adsum writes the configuration`);
    const graceMs = parseGraceMs(flags.shutdownGraceS);
    const given = await bootstrapInput(command, io);
    const { binary, untried } = await findEnvoy(flags.envoyBinary, io.env, io.signal);
    if (untried) io.err(`adsum: warning: ${untried}\n`);
    const admin = flags.adminBind === undefined ? defaultAdmin(given.proxyId, io) : given.admin;
    const secrets = new EnvoySecrets();
    const input = secrets.watched({ ...given, ...(admin && { admin }) });
    const drain = async (): Promise<void> => {
      if (admin && graceMs > 0) await drainEnvoy({ admin, signal: AbortSignal.timeout(graceMs) });
    };
    const ended = new AbortController();
    const watching = admin && watchRedirect({ admin, err: io.err, signal: ended.signal });
    try {
      io.exitWith(await runEnvoy(binary, JSON.stringify(buildBootstrap(input)), envoyArgs(io.afterDashes), drain));
    } finally {
      ended.abort();
      await watching;
      secrets.remove();
    }
  });
}

interface EnvoyFlags {
  readonly envoyBinary?: string;
  readonly adminBind?: string;
  readonly shutdownGraceS: string;
}

function parseGraceMs(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= 86_400)) throw new UsageError(`--shutdown-grace-s '${text}' is not a number of seconds`);
  return seconds * 1000;
}

function defaultAdmin(proxyId: string, io: CliIo): AdminBind | undefined {
  const socket = adminSocket(proxyId, io.env);
  io.err(
    socket
      ? `adsum: Envoy's admin interface: curl --unix-socket ${socket} http://envoy/\n`
      : "adsum: warning: no folder of this user's own for the socket of Envoy's admin interface: it is off, and SIGTERM does not drain\n",
  );
  return socket ? { socket } : undefined;
}

/** What Envoy is started with: ours first, so that the user's stand last in `ps`. */
export function envoyArgs(given: readonly string[]): string[] {
  return [
    '--config-path',
    `/dev/fd/${BOOTSTRAP_FD}`,
    // Hot restart needs a shared memory segment per Envoy: two sidecars on one host would fight for it.
    ...(hasFlag(given, HOT_RESTART_FLAGS) ? [] : ['--disable-hot-restart']),
    ...(hasFlag(given, ['--drain-time-s']) ? [] : ['--drain-time-s', String(DRAIN_TIME_S)]),
    // Pooled connections to a listener whose intention changed end with their next response, and new ones meet the new intention.
    // Envoy's default spreads that over the drain time, during which requests on old connections are decided by the old intention.
    ...(hasFlag(given, ['--drain-strategy']) ? [] : ['--drain-strategy', 'immediate']),
    ...given,
  ];
}

function hasFlag(args: readonly string[], flags: readonly string[]): boolean {
  return args.some((arg) => flags.some((flag) => arg === flag || arg.startsWith(`${flag}=`)));
}

/**
 * Runs Envoy until it ends, passing signals on; resolves with its status, 128 + n when signal n ended it.
 * @param drain awaited before the first SIGTERM is passed on; a second one is passed on at once
 */
async function runEnvoy(binary: string, bootstrap: string, args: readonly string[], drain: () => Promise<void>): Promise<number> {
  const fd = openNameless(bootstrap);
  let child: ChildProcess;
  try {
    child = spawn(binary, args, { stdio: ['inherit', 'inherit', 'inherit', fd] });
  } finally {
    closeSync(fd);
  }
  let draining = false;
  let ending = false;
  // Once only: an Envoy that is ending already would be cut short by a second one.
  const end = (): void => {
    if (!ending) child.kill('SIGTERM');
    ending = true;
  };
  const forward = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGTERM') child.kill(signal);
    else if (draining) end();
    else void drain().finally(end);
    draining ||= signal === 'SIGTERM';
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => reject(unusable(binary, error)));
      child.once('exit', (status, signal) => resolve(signal ? 128 + constants.signals[signal] : (status ?? 1)));
    });
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

/**
 * The bootstrap holds a token. It goes into a file of mode 0600 that loses its name before Envoy starts, so nobody else can open
 * it and nothing is left behind, however this ends. Envoy takes configuration from /dev/fd for this purpose.
 */
function openNameless(content: string): number {
  const place = tmpdir();
  try {
    const folder = mkdtempSync(path.join(place, 'adsum-'));
    try {
      const fd = openSync(path.join(folder, 'bootstrap.json'), 'wx+', 0o600);
      writeSync(fd, content, 0);
      return fd;
    } finally {
      rmSync(folder, { recursive: true });
    }
  } catch (error) {
    throw new CliError(`the bootstrap cannot be handed to Envoy by way of ${place}: ${error instanceof Error ? error.message : String(error)}`, {
      code: 'bootstrap-not-written',
      hint: 'name a folder that this user may write to in TMPDIR',
      cause: error,
    });
  }
}
