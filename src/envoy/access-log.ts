import type { envoy_config_accesslog_v3_AccessLog as AccessLog, envoy_config_core_v3_SubstitutionFormatString as LogFormat } from '../proto/generated/types.ts';
import { typed } from '../proto/typed.ts';
import type { AccessLogs } from '../topology/proxy-settings.ts';

/** Logs of the requests or connections that a filter handles. */
export function buildFilterAccessLog(settings: AccessLogs | undefined): { access_log?: readonly AccessLog[] } {
  if (!settings?.enabled) return {};
  return { access_log: [{ name: 'Consul Listener Filter Log', typed_config: sink(settings) }] };
}

/** Logs of the connections that no filter chain wanted: nobody else would mention them. */
export function buildListenerAccessLog(settings: AccessLogs | undefined): { access_log?: readonly AccessLog[] } {
  if (!settings?.enabled || settings.disable_listener_logs) return {};
  return { access_log: [{ name: 'Consul Listener Log', filter: { response_flag_filter: { flags: ['NR'] } }, typed_config: sink(settings) }] };
}

function sink(settings: AccessLogs): NonNullable<AccessLog['typed_config']> {
  const log_format = format(settings);
  if (settings.type === 'file') return typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: settings.path ?? '', log_format });
  if (settings.type === 'stderr') return typed('envoy.extensions.access_loggers.stream.v3.StderrAccessLog', { log_format });
  return typed('envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', { log_format });
}

function format({ json_format, text_format }: AccessLogs): LogFormat {
  const json = json_format ? parseObject(json_format) : undefined;
  if (json) return { json_format: json };
  if (text_format) return { text_format_source: { inline_string: text_format.endsWith('\n') ? text_format : `${text_format}\n` } };
  return { json_format: DEFAULT_FORMAT };
}

/** What does not parse has been reported with the entry; logging goes on in the default format. */
function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Consul's default, so that its dashboards and parsers go on working. */
const DEFAULT_FORMAT = {
  authority: '%REQ(:AUTHORITY)%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  connection_termination_details: '%CONNECTION_TERMINATION_DETAILS%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  duration: '%DURATION%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  request_id: '%REQ(X-REQUEST-ID)%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  response_code: '%RESPONSE_CODE%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  response_flags: '%RESPONSE_FLAGS%',
  route_name: '%ROUTE_NAME%',
  start_time: '%START_TIME%',
  upstream_cluster: '%UPSTREAM_CLUSTER%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_local_address: '%UPSTREAM_LOCAL_ADDRESS%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  upstream_transport_failure_reason: '%UPSTREAM_TRANSPORT_FAILURE_REASON%',
  user_agent: '%REQ(USER-AGENT)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
};
