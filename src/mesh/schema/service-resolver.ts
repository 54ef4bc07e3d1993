import type { z } from 'zod';
import { entrySchema } from './entry.ts';
import { duration, flag, integer, listOf, mapOf, name, oneOf, section, tenancy, text, textList } from './field.ts';
import { failoverPolicy, prioritizeByLocality } from './proxy-settings.ts';

const elsewhere = {
  service: name('The service, if not this one.'),
  service_subset: text("A subset of that service's resolver."),
  ...tenancy,
};

const loadBalancer = section('How callers choose an instance.', {
  policy: oneOf(['random', 'round_robin', 'least_request', 'ring_hash', 'maglev'], 'The algorithm.', { default: 'round_robin' }),
  ring_hash_config: section('For `ring_hash`.', {
    minimum_ring_size: integer('Fewest entries of the ring.', { default: "Envoy's 1024" }),
    maximum_ring_size: integer('Most entries of the ring.', { default: "Envoy's 8388608" }),
  }),
  least_request_config: section('For `least_request`.', { choice_count: integer('How many instances to compare.', { default: "Envoy's 2" }) }),
  hash_policies: listOf('What to hash, for `ring_hash` and `maglev`.', {
    field: oneOf(['header', 'cookie', 'query_parameter'], 'A part of the request.'),
    field_value: text('Its name.'),
    cookie_config: section('For a cookie that Envoy makes.', {
      session: flag('It lasts as long as the browser.'),
      ttl: duration('Its lifetime.'),
      path: text('Its path.'),
    }),
    source_ip: flag("The caller's address instead of a field."),
    terminal: flag('If this yields a hash, the following are not looked at.'),
  }),
});

export const serviceResolver = entrySchema('service-resolver', 'Which instances a service means: subsets, redirection, failover, load balancing.', {
  default_subset: text('The subset that is meant where none is named.', { default: 'all instances' }),
  subsets: mapOf('Named parts of the instances.', {
    filter: text('An expression such as `Service.Meta.version == v1`.', { default: 'all' }),
    only_passing: flag('Leave out instances in `warning`.'),
  }),
  redirect: section('The service stands for another one; nothing else may be set then.', {
    ...elsewhere,
    datacenter: text('Another datacenter.'),
    peer: text('A cluster peer.'),
    sameness_group: text('A feature of Consul Enterprise: without effect.'),
  }),
  failover: mapOf('Where to go when no instance of a subset is healthy; `*` stands for every subset.', {
    ...elsewhere,
    datacenters: textList('These datacenters, in this order.'),
    targets: listOf('These targets, in this order.', { ...elsewhere, datacenter: text('Another datacenter.'), peer: text('A cluster peer.') }),
    policy: failoverPolicy,
    sameness_group: text('A feature of Consul Enterprise: without effect.'),
  }),
  connect_timeout: duration('How long a connection may take to come about.', { default: '5s' }),
  request_timeout: duration('How long a request may take.', { default: "Envoy's 15s" }),
  load_balancer: loadBalancer,
  prioritize_by_locality: prioritizeByLocality,
});

export type ServiceResolver = z.output<typeof serviceResolver>;
export type LoadBalancer = NonNullable<z.output<typeof loadBalancer>>;
