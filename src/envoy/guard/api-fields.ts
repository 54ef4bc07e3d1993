/**
 * The fields of Envoy's API that a user may set on a listener that leads to the application: they cannot let anybody in. All others are either
 * looked at by the guard (see the lists with `GUARDED`) or refused. A field that a later Envoy API brings is on no list, and refused
 * until somebody has thought about it; a test holds the lists against the API.
 */

export const FREE_LISTENER_FIELDS: readonly string[] = [
  'name',
  'additional_addresses',
  'stat_prefix',
  // It chooses among the chains, each of which is looked at.
  'filter_chain_matcher',
  'per_connection_buffer_limit_bytes',
  'metadata',
  'drain_type',
  'listener_filters_timeout',
  'continue_on_listener_filters_timeout',
  'transparent',
  'freebind',
  'socket_options',
  'tcp_fast_open_queue_length',
  'traffic_direction',
  'connection_balance_config',
  'reuse_port',
  'enable_reuse_port',
  'access_log',
  'tcp_backlog_size',
  'max_connections_to_accept_per_socket_event',
  'bind_to_port',
  'enable_mptcp',
  'ignore_global_conn_limit',
  'bypass_overload_manager',
];
export const GUARDED_LISTENER_FIELDS: readonly string[] = ['address', 'filter_chains', 'default_filter_chain', 'listener_filters'];
/** They receive without a filter chain, or hand connections to another listener. */
export const REFUSED_LISTENER_FIELDS: readonly string[] = ['use_original_dst', 'deprecated_v1', 'udp_listener_config', 'api_listener', 'internal_listener'];

export const FREE_CHAIN_FIELDS: readonly string[] = ['filter_chain_match', 'metadata', 'transport_socket_connect_timeout', 'name', 'use_proxy_proto'];
export const GUARDED_CHAIN_FIELDS: readonly string[] = ['filters', 'transport_socket'];
export const REFUSED_CHAIN_FIELDS: readonly string[] = ['on_demand_configuration'];

export const FREE_MANAGER_FIELDS: readonly string[] = [
  'codec_type',
  'stat_prefix',
  'add_user_agent',
  'tracing',
  'http_protocol_options',
  'http2_protocol_options',
  'http3_protocol_options',
  'server_name',
  'server_header_transformation',
  'scheme_header_transformation',
  'max_request_headers_kb',
  'stream_idle_timeout',
  'request_timeout',
  'request_headers_timeout',
  'drain_timeout',
  'delayed_close_timeout',
  'access_log',
  'access_log_flush_interval',
  'flush_access_log_on_new_request',
  'access_log_options',
  'use_remote_address',
  'xff_num_trusted_hops',
  'internal_address_config',
  'skip_xff_append',
  'via',
  'generate_request_id',
  'preserve_external_request_id',
  'always_set_request_id_in_response',
  'forward_client_cert_details',
  'set_current_client_cert_details',
  'proxy_100_continue',
  'represent_ipv4_remote_address_as_ipv4_mapped_ipv6',
  'request_id_extension',
  'local_reply_config',
  'stream_error_on_invalid_http_message',
  'proxy_status_config',
  'append_x_forwarded_port',
  'append_local_overload',
  'add_proxy_protocol_connection_state',
  // They decide which requests are one and the same; what intentions need of them is demanded besides.
  'common_http_protocol_options',
  'normalize_path',
  'merge_slashes',
  'path_with_escaped_slashes_action',
  'strip_matching_host_port',
  'strip_any_host_port',
  'strip_trailing_host_dot',
];
export const GUARDED_MANAGER_FIELDS: readonly string[] = ['http_filters', 'route_config', 'rds', 'upgrade_configs'];
/** They change a request before any filter sees it, or choose routes that nobody here has seen. */
export const REFUSED_MANAGER_FIELDS: readonly string[] = [
  'scoped_routes',
  'early_header_mutation_extensions',
  'original_ip_detection_extensions',
  'path_normalization_options',
  'typed_header_validation_config',
];

/** The first field of a message that is on none of the lists. */
export function fieldBeyond(message: object, ...lists: readonly (readonly string[])[]): string | undefined {
  return Object.keys(message).find((field) => !lists.some((list) => list.includes(field)));
}
