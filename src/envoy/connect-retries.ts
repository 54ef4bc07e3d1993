import type { envoy_config_route_v3_RetryPolicy as RetryPolicy } from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';

/**
 * How many instances are tried before a caller's connection or request fails for want of a connection. adsum's own: Consul tries one.
 * What found no connection was sent to nobody, so it may go to another instance: one that is registered before its sidecar listens, or gone
 * before its checks say so, then costs nobody a request.
 */
export const CONNECT_ATTEMPTS = 3;

/** The same for requests. */
export const RETRY_CONNECTING: RetryPolicy = {
  retry_on: 'connect-failure',
  num_retries: CONNECT_ATTEMPTS - 1,
  retry_host_predicate: [
    {
      name: 'envoy.retry_host_predicates.previous_hosts',
      typed_config: typed('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate', {}),
    },
  ],
  host_selection_retry_max_attempts: 5,
};
