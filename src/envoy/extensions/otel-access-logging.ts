import type { ExtensionArguments } from '../../mesh/schema/extension-arguments.ts';
import type {
  opentelemetry_proto_common_v1_AnyValue as AnyValue,
  envoy_extensions_access_loggers_grpc_v3_CommonGrpcAccessLogConfig as CommonConfig,
  opentelemetry_proto_common_v1_KeyValueList as KeyValueList,
  envoy_config_core_v3_RetryPolicy as RetryPolicy,
} from '../../proto/generated/types.ts';
import { typed } from '../../proto/typed.ts';
import { envoyDuration } from '../duration.ts';
import type { EnvoyResource } from '../resource.ts';
import { clusterResource } from '../upstream-resources.ts';
import { ExtensionError, type ExtensionInput } from './extension.ts';
import { mapFilterChains, mapHttpConnectionManager } from './listeners.ts';
import { buildGrpcService, resolveTarget } from './target.ts';

type Settings = ExtensionArguments<'builtin/otel-access-logging'>['config'];

/** The cluster of a collector on the same host; Consul's name. */
const LOCAL_CLUSTER = 'local_access_log';

/** Sends the log of every HTTP request of one side to an OpenTelemetry collector. */
export function applyOtelAccessLogging(
  { listener_type: direction = 'inbound', config }: ExtensionArguments<'builtin/otel-access-logging'>,
  input: ExtensionInput,
): EnvoyResource[] {
  const { clusterName, cluster } = resolveTarget(input.view, config.grpc_service.target, { clusterName: LOCAL_CLUSTER, grpc: true });
  const body = anyValue(config.body);
  const log = {
    name: 'envoy.access_loggers.open_telemetry',
    typed_config: typed('envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig', {
      common_config: buildCommonConfig(config, clusterName),
      ...(body && { body }),
      attributes: keyValues(config.attributes),
      resource_attributes: keyValues(config.resource_attributes),
    }),
  };
  const patched = mapFilterChains(input, direction, (chain) =>
    mapHttpConnectionManager(chain, (manager) => ({ ...manager, access_log: [...(manager.access_log ?? []), log] })),
  );
  return cluster ? [...patched, clusterResource(cluster)] : patched;
}

function buildCommonConfig(config: Settings, clusterName: string): CommonConfig {
  const retries = buildRetryPolicy(config.retry_policy);
  return {
    log_name: config.log_name ?? '',
    grpc_service: buildGrpcService(config.grpc_service, clusterName),
    transport_api_version: 'V3',
    ...(config.buffer_flush_interval && { buffer_flush_interval: envoyDuration(config.buffer_flush_interval) }),
    buffer_size_bytes: config.buffer_size_bytes ?? 0,
    ...(config.filter_state_objects_to_log.length > 0 && { filter_state_objects_to_log: config.filter_state_objects_to_log }),
    ...(retries && { grpc_stream_retry_policy: retries }),
  };
}

function buildRetryPolicy(settings: Settings['retry_policy']): RetryPolicy | undefined {
  if (!settings) return undefined;
  const { num_retries: retries, retry_back_off: pauses } = settings;
  return {
    num_retries: retries ?? 0,
    ...(pauses && {
      retry_back_off: { base_interval: envoyDuration(pauses.base_interval ?? 1000), max_interval: envoyDuration(pauses.max_interval ?? 30_000) },
    }),
  };
}

function keyValues(map: Readonly<Record<string, unknown>> | undefined): KeyValueList {
  const entries = Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length > 0 ? { values: entries.map(([key, value]) => ({ key, value: anyValue(value) ?? {} })) } : {};
}

function anyValue(value: unknown): AnyValue | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return { string_value: value };
  if (typeof value === 'boolean') return { bool_value: value };
  // Numbers of a JSON document are doubles in Consul, too.
  if (typeof value === 'number') return { double_value: value };
  throw new ExtensionError('attributes and the body must be text, numbers or booleans');
}
