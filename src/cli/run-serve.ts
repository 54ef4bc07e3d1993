import type { Command } from 'commander';
import { CaError } from '../ca/ca-error.ts';
import { type ControlPlaneOptions, type HostPort, startControlPlane } from '../control-plane/control-plane.ts';
import { MeshError } from '../control-plane/mesh-error.ts';
import type { OriginChoice } from '../control-plane/origin.ts';
import { certificateFromFiles } from '../control-plane/xds-certificate.ts';
import { formatProblem } from '../mesh/problem.ts';
import { parseDurationMs } from '../mesh/schema/duration.ts';
import { systemClock } from '../runtime/clock.ts';
import { LockHeldError } from '../runtime/folder-lock.ts';
import type { Logger } from '../runtime/logger.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { FileError } from '../runtime/named-file.ts';
import type { Reloaded } from '../runtime/reloaded.ts';
import { serviceManager } from '../runtime/service-manager.ts';
import { StateError } from '../runtime/state-error.ts';
import type { ServerCertificate } from '../server/tls-credentials.ts';
import { ConsulTargetError, resolveConsulTarget } from '../sources/consul/consul-target.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { defaultDataDir } from './data-dir.ts';
import { isLoopbackHost, parseHostPort } from './host-port.ts';
import { loggerFor } from './log-options.ts';
import { refuseIdentityFlags, resolveIdentity } from './serve-identity.ts';
import type { ServeOptions } from './serve-options.ts';

/** `adsum serve`: starts everything and returns when it is told to end. */
export async function runServe(options: ServeOptions, command: Command, io: CliIo): Promise<void> {
  const logger = loggerFor(command);
  const settings = { ...resolveOptions(options, io, logger), clock: systemClock, random: Math.random, logger, metrics: createMetrics() };
  if (!settings.certificate && !isLoopbackHost(settings.grpc.host))
    logger.warn({ grpc: options.grpc }, 'xDS is served without TLS: private keys travel in the clear');
  const shutdownDelayMs = parseShutdownDelay(options.shutdownDelay);
  const systemd = serviceManager({ env: io.env, logger, pid: process.pid });
  const plane = await startControlPlane(settings).catch((error: unknown) => {
    throw explain(error);
  });
  logger.info({ grpc: plane.grpc, admin: plane.admin, dns: plane.dns ?? 'off', data_dir: settings.dataDir }, 'adsum serves the mesh');
  systemd.ready(`xDS on ${plane.grpc.host}:${plane.grpc.port}`);
  await new Promise<void>((stop) => (io.signal.aborted ? stop() : io.signal.addEventListener('abort', () => stop(), { once: true })));
  systemd.stopping();
  await plane.end(shutdownDelayMs);
  logger.info({}, 'adsum has ended');
}

/** Above this a process manager has killed it long since. */
const LONGEST_DELAY_MS = 600_000;

function parseShutdownDelay(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < 0 || ms > LONGEST_DELAY_MS) throw new UsageError(`--shutdown-delay ${text} is no duration of up to 10m, such as 5s`);
  return ms;
}

/** Where DNS listens unless told otherwise; beside a Consul there is Consul's own. */
const DEFAULT_DNS = '127.0.0.1:8600';

type Resolved = OriginChoice & Omit<ControlPlaneOptions, 'meshPaths' | 'consul' | 'clock' | 'random' | 'logger' | 'metrics'>;

function resolveOptions(options: ServeOptions, io: CliIo, logger: Logger): Resolved {
  const grpc = parseHostPort(options.grpc, '--grpc');
  const certificate = readCertificate(options, logger);
  if (!certificate && !options.insecurePlaintext && !isLoopbackHost(grpc.host)) {
    throw new UsageError(`--grpc ${options.grpc} is off loopback and would hand out private keys in the clear`, {
      hint: 'give --tls-cert and --tls-key, or --tls-name, or --insecure-plaintext on a network you trust',
    });
  }
  const admin = parseHostPort(options.admin, '--admin');
  if (!certificate && !options.insecurePlaintext && !isLoopbackHost(admin.host)) {
    throw new UsageError(`--admin ${options.admin} is off loopback and would take tokens in the clear`, {
      hint: 'give --tls-cert and --tls-key or --tls-name, which hold for it too, or --insecure-plaintext on a network you trust',
    });
  }
  const source = resolveSource(options, io, grpc.host, logger);
  const dnsAt = options.dns ?? ('consul' in source ? 'off' : DEFAULT_DNS);
  const dns: HostPort | undefined = dnsAt === 'off' ? undefined : parseHostPort(dnsAt, '--dns');
  return {
    ...source,
    dataDir: options.dataDir ?? defaultDataDir(io.env),
    grpc,
    ...(certificate ? { certificate } : {}),
    admin,
    adminTls: certificate !== undefined && !isLoopbackHost(admin.host),
    ...(dns ? { dns: { ...dns, recursors: options.dnsRecursor, ...(options.dnsClients.length > 0 ? { clients: options.dnsClients } : {}) } } : {}),
  };
}

function resolveSource(options: ServeOptions, io: CliIo, grpcHost: string, logger: Logger): OriginChoice {
  if (options.consul === undefined) {
    if (options.mesh.length === 0) throw new UsageError('serve needs --mesh PATH or --consul URL');
    return { meshPaths: options.mesh, identity: resolveIdentity(options, grpcHost, { clock: systemClock, logger }) };
  }
  if (options.mesh.length > 0) throw new UsageError('--mesh and --consul exclude each other');
  refuseIdentityFlags(options);
  const flags = {
    address: options.consul,
    ...(options.consulToken ? { token: options.consulToken } : {}),
    ...(options.consulTokenFile ? { tokenFile: options.consulTokenFile } : {}),
    ...(options.consulDatacenter ? { datacenter: options.consulDatacenter } : {}),
    ...(options.consulCaFile ? { caFile: options.consulCaFile } : {}),
    ...(options.consulClientCert ? { clientCert: options.consulClientCert } : {}),
    ...(options.consulClientKey ? { clientKey: options.consulClientKey } : {}),
    ...(options.consulTlsServerName ? { tlsServerName: options.consulTlsServerName } : {}),
  };
  try {
    return { consul: resolveConsulTarget(flags, io.env) };
  } catch (error) {
    if (error instanceof ConsulTargetError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function readCertificate({ tlsCert, tlsKey, tlsName }: ServeOptions, logger: Logger): Reloaded<ServerCertificate> | { names: string[] } | undefined {
  if (tlsName.length > 0 && (tlsCert || tlsKey)) throw new UsageError('--tls-name goes without --tls-cert and --tls-key');
  if (tlsName.length > 0) return { names: tlsName };
  if (!tlsCert && !tlsKey) return undefined;
  if (!tlsCert || !tlsKey) throw new UsageError('--tls-cert and --tls-key go together');
  try {
    return certificateFromFiles({ cert: tlsCert, key: tlsKey }, { clock: systemClock, logger });
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new CliError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Expected reasons for not starting, as one clear error each. */
function explain(error: unknown): unknown {
  if (error instanceof MeshError) {
    const errors = error.problems.filter(({ severity }) => severity === 'error').map(formatProblem);
    if (errors.length === 1) return new CliError(errors.join());
    return new CliError(`the mesh has ${errors.length} errors and cannot be served`, { hint: errors.join('\n') });
  }
  if (error instanceof StateError) return new CliError(error.message, { hint: error.hint, cause: error });
  if (error instanceof CaError || error instanceof LockHeldError) return new CliError(error.message, { cause: error });
  if (error instanceof Error && 'code' in error) {
    const hint = error.code === 'EADDRINUSE' ? 'another process listens there; name another address, or end that process' : undefined;
    return new CliError(error.message, { ...(hint ? { hint } : {}), cause: error });
  }
  return error;
}
