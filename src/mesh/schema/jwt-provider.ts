import type { z } from 'zod';
import { entrySchema } from './entry.ts';
import { duration, flag, integer, listOf, oneOf, required, section, text, textList } from './field.ts';

const remoteKeys = section('Keys fetched by Envoy.', {
  uri: required(text('The URL of the key set.')),
  request_timeout_ms: integer('How long a fetch may take.', { unit: 'ms', default: '1000' }),
  cache_duration: duration('How long the keys are kept.', { default: '5m' }),
  fetch_asynchronously: flag('Fetch before the first request; the listener waits for it.'),
  use_sni: flag('Send the host of the URL as SNI.'),
  retry_policy: section('Trying again after a failed fetch.', {
    num_retries: integer('How often.', { default: '0' }),
    retry_policy_back_off: section('How long to wait.', {
      base_interval: duration('Before the first attempt.', { default: '1s' }),
      max_interval: duration('At most.', { default: 'ten times the first' }),
    }),
  }),
  jwks_cluster: section('How Envoy reaches the host.', {
    discovery_type: oneOf(['STRICT_DNS', 'STATIC', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST'], "Envoy's kind of cluster.", { default: 'STRICT_DNS' }),
    tls_certificates: section('Which certificates of the host to trust.', {
      ca_certificate_provider_instance: section('A certificate provider of Envoy.', {
        instance_name: text('Its name.', { default: 'default' }),
        certificate_name: text('The certificate.'),
      }),
      trusted_ca: section('CA certificates.', {
        filename: text('In a file.'),
        environment_variable: text('In an environment variable.'),
        inline_string: text('Here, as PEM.'),
        inline_bytes: text('Here, base64.'),
      }),
    }),
    connect_timeout: duration('How long a connection may take to come about.', { default: '5s' }),
  }),
});

export const jwtProvider = entrySchema('jwt-provider', 'Who issues tokens and how they are verified.', {
  issuer: text('Must be the claim `iss`.', { default: 'not looked at' }),
  audiences: textList('One of these must be in the claim `aud`.', { default: 'not looked at' }),
  json_web_key_set: required(
    section('The keys; exactly one of the two.', {
      local: section('Keys given here.', { jwks: text('The key set, base64.'), filename: text('A file on the machine of the proxy.') }),
      remote: remoteKeys,
    }),
  ),
  locations: listOf('Where to look for the token; each has exactly one of these.', {
    header: section('In a header.', {
      name: required(text('The header.')),
      value_prefix: text('What stands before the token, e.g. `Bearer `.'),
      forward: flag('Leave the token in the request.'),
    }),
    query_param: section('In a query parameter.', { name: required(text('The parameter.')) }),
    cookie: section('In a cookie.', { name: required(text('The cookie.')) }),
  }),
  forwarding: section('Hands the payload to the application.', {
    header_name: required(text('The header it comes in, base64url.')),
    pad_forward_payload_header: flag('With padding.'),
  }),
  clock_skew_seconds: integer('How far the clocks may differ.', { unit: 's', default: '30' }),
  cache_config: section('Verified tokens are remembered.', { size: integer('How many.', { default: '0, none' }) }),
});

export type JwtProvider = z.output<typeof jwtProvider>;
