import type { z } from 'zod';
import type { Place } from '../problem.ts';
import { apiGateway } from './api-gateway.ts';
import { fileSystemCertificate, inlineCertificate } from './certificate-entries.ts';
import { controlPlaneRequestLimit } from './control-plane-request-limit.ts';
import { exportedServices } from './exported-services.ts';
import { httpRoute } from './http-route.ts';
import { ingressGateway } from './ingress-gateway.ts';
import { jwtProvider } from './jwt-provider.ts';
import { meshEntry } from './mesh-entry.ts';
import { proxyDefaults } from './proxy-defaults.ts';
import { samenessGroup } from './sameness-group.ts';
import { serviceDefaults } from './service-defaults.ts';
import { serviceIntentions } from './service-intentions.ts';
import { serviceResolver } from './service-resolver.ts';
import { serviceRouter } from './service-router.ts';
import { serviceSplitter } from './service-splitter.ts';
import { tcpRoute } from './tcp-route.ts';
import { terminatingGateway } from './terminating-gateway.ts';

/** Every kind of config entry and its schema: the single source of parsing, validation, documentation and types. */
export const configEntrySchemas = {
  'proxy-defaults': proxyDefaults,
  'service-defaults': serviceDefaults,
  'service-intentions': serviceIntentions,
  'service-router': serviceRouter,
  'service-splitter': serviceSplitter,
  'service-resolver': serviceResolver,
  mesh: meshEntry,
  'jwt-provider': jwtProvider,
  'terminating-gateway': terminatingGateway,
  'ingress-gateway': ingressGateway,
  'api-gateway': apiGateway,
  'http-route': httpRoute,
  'tcp-route': tcpRoute,
  'inline-certificate': inlineCertificate,
  'file-system-certificate': fileSystemCertificate,
  'exported-services': exportedServices,
  'control-plane-request-limit': controlPlaneRequestLimit,
  'sameness-group': samenessGroup,
} as const;

export type ConfigEntryKind = keyof typeof configEntrySchemas;

/** The parsed entry of a kind, with the place it was written in. */
export type EntryOfKind<Kind extends ConfigEntryKind> = Kind extends ConfigEntryKind
  ? z.output<(typeof configEntrySchemas)[Kind]> & { readonly place?: Place }
  : never;

export type ConfigEntry = EntryOfKind<ConfigEntryKind>;

export function isConfigEntryKind(kind: unknown): kind is ConfigEntryKind {
  return typeof kind === 'string' && Object.hasOwn(configEntrySchemas, kind);
}
