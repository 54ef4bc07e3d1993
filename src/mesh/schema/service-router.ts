import { z } from 'zod';
import { entrySchema } from './entry.ts';
import { duration, flag, integer, listOf, name, required, section, tenancy, text, textList } from './field.ts';
import { httpHeaderModifiers } from './http-header-modifiers.ts';

export const statusCodes = z.array(z.int().min(100).max(599)).meta({ description: 'Status codes after which to try again.' }).default([]);

export const serviceRouter = entrySchema('service-router', 'Which requests to a service go elsewhere. For HTTP services.', {
  routes: listOf('The first that matches wins; what none matches goes to the service itself.', {
    match: section('Without it, every request.', {
      http: section('All of it must match.', {
        path_exact: text('The whole path, without the query.'),
        path_prefix: text('The beginning of the path.'),
        path_regex: text('A regular expression (RE2) for the whole path.'),
        case_insensitive: flag('Paths without regard to case.'),
        header: listOf('All of these must match.', {
          name: required(text('The header.')),
          present: flag('It is there.'),
          exact: text('Its whole value.'),
          prefix: text('The beginning of its value.'),
          suffix: text('The end of its value.'),
          regex: text('A regular expression (RE2) for its whole value.'),
          invert: flag('The opposite.'),
        }),
        query_param: listOf('All of these must match.', {
          name: required(text('The query parameter.')),
          present: flag('It is there.'),
          exact: text('Its whole value.'),
          regex: text('A regular expression (RE2) for its whole value.'),
        }),
        methods: textList('Any of these methods.', { default: 'every method' }),
      }),
    }),
    destination: section('Where it goes. Without it, to the service itself.', {
      service: name('The service.'),
      service_subset: text("A subset of the service's resolver."),
      ...tenancy,
      prefix_rewrite: text('Replaces what `path_prefix` or `path_exact` matched.'),
      request_timeout: duration('How long the whole request may take; below zero: without limit.', { default: "Envoy's 15s" }),
      idle_timeout: duration('How long a request may be silent; below zero: without limit.', { default: "Envoy's 5m" }),
      num_retries: integer('How often to try again.', { default: '1 where any retry condition is given' }),
      retry_on_connect_failure: flag('Try again when no connection came about.'),
      retry_on: textList("Further conditions, by Envoy's names.", { default: 'none' }),
      retry_on_status_codes: statusCodes,
      request_headers: httpHeaderModifiers('Changes to the request.'),
      response_headers: httpHeaderModifiers('Changes to the response.'),
    }),
  }),
});

export type ServiceRouter = z.output<typeof serviceRouter>;
export type ServiceRoute = ServiceRouter['routes'][number];
