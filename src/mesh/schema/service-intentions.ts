import type { z } from 'zod';
import { entrySchema, wildcardName } from './entry.ts';
import { flag, listOf, nameOrWildcard, oneOf, required, section, tenancy, text, textList } from './field.ts';
import { jwtRequirement } from './jwt-requirement.ts';

const action = oneOf(['allow', 'deny'], 'What happens.');

/** The layer 7 rules of one source: the first that matches decides. */
const permissions = listOf('Rules for HTTP requests, first match wins, instead of `action`; what no rule matches falls to the default policy.', {
  action: required(action),
  http: section('All of it must match; without it every request does.', {
    path_exact: text('The whole path, without the query.'),
    path_prefix: text('The beginning of the path.'),
    path_regex: text('A regular expression (RE2) for the whole path.'),
    header: listOf('All of these must match.', {
      name: required(text('The header.')),
      present: flag('It is there.'),
      exact: text('Its whole value.'),
      prefix: text('The beginning of its value.'),
      suffix: text('The end of its value.'),
      contains: text('A part of its value.'),
      regex: text('A regular expression (RE2) for its whole value.'),
      invert: flag('The opposite.'),
      ignore_case: flag('Without regard to case.'),
    }),
    methods: textList('Any of these methods.', { default: 'every method' }),
  }),
  jwt: jwtRequirement('The rule matches only requests with such a token.'),
});

export const serviceIntentions = entrySchema('service-intentions', 'Who may call a service.', {
  name: wildcardName,
  sources: listOf(
    'The callers. The more exact name wins, whatever the order.',
    {
      name: required(nameOrWildcard('The calling service, or `*` for all.')),
      ...tenancy,
      peer: text('The cluster peer the caller is in.'),
      sameness_group: text('A feature of Consul Enterprise: without effect.'),
      action,
      permissions,
      type: oneOf(['consul'], 'The kind of the name.', { default: 'consul' }),
      description: text('For people.'),
    },
    ['precedence', 'legacy_id', 'legacy_meta', 'legacy_create_time', 'legacy_update_time'],
  ),
  jwt: jwtRequirement('Every request needs such a token.'),
});

export type ServiceIntentions = z.output<typeof serviceIntentions>;
export type IntentionSource = ServiceIntentions['sources'][number];
export type IntentionPermission = z.output<typeof permissions>[number];
