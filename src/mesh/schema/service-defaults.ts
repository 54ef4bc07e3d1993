import { entrySchema } from './entry.ts';
import { decimal, integer, listOf, oneOf, port, protocol, section, text, textList } from './field.ts';
import { envoyExtensions, expose, meshGateway, mutualTlsMode, proxyMode, transparentProxy } from './proxy-settings.ts';
import { upstreamDefaults, upstreamOverrides } from './upstream.ts';

const rate = {
  requests_per_second: decimal('Average rate.'),
  requests_max_burst: decimal('Largest burst.'),
};

export const serviceDefaults = entrySchema('service-defaults', 'Settings of one service, for all its instances and for those who call it.', {
  protocol: protocol('What the service speaks.'),
  mode: proxyMode,
  transparent_proxy: transparentProxy,
  mutual_tls_mode: mutualTlsMode,
  mesh_gateway: meshGateway,
  expose,
  external_sni: text('The SNI by which callers outside know the service.'),
  upstream_config: section('How the service calls others.', { defaults: upstreamDefaults, overrides: upstreamOverrides }),
  destination: section('Makes the service a name for addresses outside the mesh, reached through a terminating gateway.', {
    addresses: textList('IP addresses or host names.'),
    port: port('Their port.'),
  }),
  max_inbound_connections: integer('Most inbound connections per instance.', { default: '0, no limit' }),
  local_connect_timeout_ms: integer('How long the proxy waits for a connection to the application.', { unit: 'ms', default: '5000' }),
  local_request_timeout_ms: integer('How long the application may take to answer an HTTP request.', { unit: 'ms', default: "Envoy's 15000" }),
  max_request_headers_kb: integer('Largest size of the request headers.', { unit: 'KiB', default: "Envoy's 60" }),
  balance_inbound_connections: oneOf(['exact_balance'], "Spread connections evenly over Envoy's worker threads.", { default: 'not balanced' }),
  envoy_extensions: envoyExtensions,
  rate_limits: section('A feature of Consul Enterprise: parsed, without effect.', {
    instance_level: section('Per instance.', {
      ...rate,
      routes: listOf('By path.', {
        path_exact: text('Whole path.'),
        path_prefix: text('Beginning of the path.'),
        path_regex: text('Regular expression.'),
        ...rate,
      }),
    }),
  }),
});
