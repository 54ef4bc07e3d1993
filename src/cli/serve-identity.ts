import type { JSONWebKeySet } from 'jose';
import type { IdentityOptions } from '../control-plane/mesh-admission.ts';
import { clientCaFromFile } from '../control-plane/xds-certificate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { readNamedFile } from '../runtime/named-file.ts';
import { Reloaded } from '../runtime/reloaded.ts';
import { CliError, UsageError } from './cli-error.ts';
import { isLoopbackHost } from './host-port.ts';
import type { ServeOptions } from './serve-options.ts';

interface Context {
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What sidecars must show, from the flags. On loopback nothing is asked unless it is wanted, so that a demo needs no preparation;
 * off loopback everybody proves who he is unless the operator says otherwise. Being open is said at each start.
 */
export function resolveIdentity(options: ServeOptions, grpcHost: string, context: Context): IdentityOptions {
  if (options.allowAnonymous && options.requireIdentity) throw new UsageError('--allow-anonymous and --require-identity exclude each other');
  const asked = options.requireIdentity || options.tlsClientCa !== undefined || options.jwtIssuer !== undefined;
  if (options.allowAnonymous && asked) throw new UsageError('--allow-anonymous does not go with --tls-client-ca or --jwt-issuer: nothing would be asked for');
  const required = asked || (!options.allowAnonymous && !isLoopbackHost(grpcHost));
  if (!required) {
    const whom = isLoopbackHost(grpcHost) ? 'every user of this host' : 'everybody who reaches the port';
    context.logger.warn(
      { grpc: options.grpc },
      `xDS asks nobody who he is: ${whom} gets the private key of any service by naming a node id (--require-identity changes that)`,
    );
  }
  return {
    required,
    ...(options.tlsClientCa === undefined ? {} : { clientCa: clientCaFromFile(options.tlsClientCa, context) }),
    ...(options.jwtIssuer === undefined ? {} : { jwt: resolveJwt(options, options.jwtIssuer, context) }),
  };
}

/** Flags that mean nothing where Consul says who is who. */
export function refuseIdentityFlags(options: ServeOptions): void {
  const given = Object.entries({
    '--allow-anonymous': options.allowAnonymous,
    '--require-identity': options.requireIdentity,
    '--tls-client-ca': options.tlsClientCa,
    '--jwt-issuer': options.jwtIssuer,
  }).find(([, value]) => value !== undefined);
  if (given) throw new UsageError(`${given[0]} goes with --mesh only: with --consul its ACLs decide who is served`);
}

function resolveJwt(options: ServeOptions, issuer: string, context: Context): NonNullable<IdentityOptions['jwt']> {
  const { jwtJwksFile: file, jwtAudience: audience, jwtServiceClaim: serviceClaim } = options;
  if (file === undefined || audience === undefined) throw new UsageError('--jwt-issuer needs --jwt-jwks-file and --jwt-audience');
  const keys = new Reloaded({ read: () => readKeySet(file), what: 'the key set of the JWT issuer', ...context });
  return { issuer, audience, keys, serviceClaim };
}

function readKeySet(file: string): JSONWebKeySet {
  const text = readNamedFile(file, '--jwt-jwks-file');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CliError(`--jwt-jwks-file ${file} is no JSON`);
  }
  const { keys } = json as { keys?: unknown };
  if (!Array.isArray(keys)) throw new CliError(`--jwt-jwks-file ${file} is no JSON Web Key Set: it has no list of keys`);
  return { keys };
}
