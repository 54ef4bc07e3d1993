import type { ResourceType } from '../cache/resource.ts';
import { decode } from '../proto/codec.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import { closedListener } from './closed-chain.ts';
import { SECRETS } from './names.ts';
import type { EnvoyResource } from './resource.ts';
import { NOBODY } from './secret.ts';

/**
 * What takes the place of a resource that decides who may call the application and that Envoy does not take: it lets nobody in. Undefined where the
 * resource decides no such thing.
 */
export function closedForm(type: ResourceType, name: string, bytes: Uint8Array, applicationListeners: readonly string[]): EnvoyResource | undefined {
  if (type === 'listener' && applicationListeners.includes(name)) {
    return { type, name, body: closedListener(decode('envoy.config.listener.v3.Listener', bytes)) };
  }
  if (type !== 'secret' || name !== SECRETS.callers) return undefined;
  const { validation_context } = decode('envoy.extensions.transport_sockets.tls.v3.Secret', bytes);
  return { type, name, body: { name, validation_context: { ...validation_context, match_typed_subject_alt_names: [NOBODY] } } };
}

/** Whether two views let the same callers do the same: what else differs between them changes nobody's rights. */
export function sameRights(one: ProxyView, other: ProxyView): boolean {
  return one === other || rightsOf(one) === rightsOf(other);
}

function rightsOf({ context, inbound, envoyExtensions }: ProxyView): string {
  const { authorization, permissivePort, protocol, exposedPaths } = inbound;
  const { defaultAction, sources, jwtProviders } = authorization;
  const { incomingTls, requestNormalization } = context.mesh;
  const guards = envoyExtensions.filter(({ required }) => required);
  return JSON.stringify([
    context.trustDomain,
    protocol,
    defaultAction,
    sources,
    jwtProviders,
    permissivePort,
    incomingTls,
    requestNormalization,
    exposedPaths,
    guards,
  ]);
}
