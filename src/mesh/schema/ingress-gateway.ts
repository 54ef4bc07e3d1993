import { entrySchema } from './entry.ts';
import { integer, listOf, nameOrWildcard, port, protocol, required, section, tenancy, textList } from './field.ts';
import { gatewayServiceTls, gatewayTls } from './gateway-tls.ts';
import { httpHeaderModifiers } from './http-header-modifiers.ts';
import { passiveHealthCheck } from './proxy-settings.ts';

const connectionLimits = {
  max_connections: integer('Most connections at a time.'),
  max_pending_requests: integer('Most requests waiting for a connection.'),
  max_concurrent_requests: integer('Most requests in flight.'),
  passive_health_check: passiveHealthCheck,
};

export const ingressGateway = entrySchema('ingress-gateway', 'What an ingress gateway lets in.', {
  tls: gatewayTls,
  listeners: listOf('The listeners.', {
    port: required(port('Its port.')),
    protocol: protocol('What it speaks.'),
    tls: gatewayTls,
    services: listOf('What is behind it.', {
      name: required(nameOrWildcard('The service, or `*` for all.')),
      ...tenancy,
      hosts: textList('Host headers that lead to it.', { default: '`<service>.ingress.*`' }),
      tls: gatewayServiceTls,
      request_headers: httpHeaderModifiers('Changes to the request.'),
      response_headers: httpHeaderModifiers('Changes to the response.'),
      ...connectionLimits,
    }),
  }),
  defaults: section('For every service of every listener.', connectionLimits),
});
