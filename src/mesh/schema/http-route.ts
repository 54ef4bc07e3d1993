import { entrySchema, resourceReference } from './entry.ts';
import { duration, flag, integer, listOf, name, oneOf, required, section, tenancy, text, textList, textMap } from './field.ts';
import { jwtRequirement } from './jwt-requirement.ts';
import { limits } from './proxy-settings.ts';
import { statusCodes } from './service-router.ts';

const headerChanges = listOf('Changes to headers.', { add: textMap('Added.'), set: textMap('Set.'), remove: textList('Removed.') });

const filters = section('Changes to the request.', {
  headers: headerChanges,
  url_rewrite: section('Rewrites the path.', { path: text('Replaces what matched.') }),
  retry_filter: section('Trying again.', {
    num_retries: integer('How often.'),
    retry_on: textList("Conditions, by Envoy's names."),
    retry_on_status_codes: statusCodes,
    retry_on_connect_failure: flag('When no connection came about.'),
  }),
  timeout_filter: section('Timeouts.', {
    request_timeout: duration('Of the whole request.'),
    idle_timeout: duration('Of silence.'),
  }),
  jwt: jwtRequirement('Requests need such a token.'),
});

const responseFilters = section('Changes to the response.', { headers: headerChanges });

const MATCHES = ['exact', 'prefix', 'present', 'regex', 'suffix'] as const;

export const httpRoute = entrySchema('http-route', 'Routes of API gateways for HTTP.', {
  parents: listOf('The gateways, and their listeners, it binds to.', resourceReference),
  hostnames: textList('Only for these hosts.', { default: 'every host' }),
  rules: listOf('The first that matches wins.', {
    filters,
    response_filters: responseFilters,
    matches: listOf('Any of these.', {
      headers: listOf('All of these.', {
        match: required(oneOf(MATCHES, 'How to compare.')),
        name: required(text('The header.')),
        value: text('What to compare with.'),
      }),
      method: oneOf(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'], 'The method.', { default: 'every method' }),
      path: section('The path.', {
        match: required(oneOf(['exact', 'prefix', 'regex'], 'How to compare.')),
        value: required(text('What to compare with.')),
      }),
      query: listOf('All of these.', {
        match: required(oneOf(['exact', 'present', 'regex'], 'How to compare.')),
        name: required(text('The query parameter.')),
        value: text('What to compare with.'),
      }),
    }),
    services: listOf('Where the requests go.', {
      name: required(name('The service.')),
      weight: integer('Its share.', { default: '1' }),
      filters,
      response_filters: responseFilters,
      limits,
      ...tenancy,
    }),
  }),
});
