import type { ExtensionArguments } from '../../mesh/schema/extension-arguments.ts';
import type {
  envoy_config_core_v3_AsyncDataSource as AsyncDataSource,
  envoy_extensions_wasm_v3_PluginConfig as PluginConfig,
  envoy_config_core_v3_RetryPolicy as RetryPolicy,
} from '../../proto/generated/types.ts';
import { typed } from '../../proto/typed.ts';
import type { ProxyView } from '../../topology/proxy-view.ts';
import { envoyDuration } from '../duration.ts';
import type { EnvoyResource } from '../resource.ts';
import { ExtensionError, type ExtensionInput } from './extension.ts';
import { insertFilter, mapFilterChains, mapHttpConnectionManager } from './listeners.ts';
import { upstreamClusterName } from './target.ts';

type Arguments = ExtensionArguments<'builtin/wasm'>;
type Code = Arguments['plugin_config']['vm_config']['code'];
type Remote = NonNullable<Code['remote']>;

const DEFAULT_FETCH_TIMEOUT_MS = 1000;

/** A WebAssembly plugin on every HTTP chain of one side. Consul's extension has never done anything for tcp. */
export function applyWasm(settings: Arguments, input: ExtensionInput): EnvoyResource[] {
  if (settings.protocol === 'tcp') throw new ExtensionError('plugins for tcp are not supported');
  const config = buildPluginConfig(settings, input.view, input.required);
  const filter = { name: 'envoy.filters.http.wasm', typed_config: typed('envoy.extensions.filters.http.wasm.v3.Wasm', { config }) };
  return mapFilterChains(input, settings.listener_type, (chain) =>
    mapHttpConnectionManager(chain, (manager) => {
      const filters = insertFilter(manager.http_filters ?? [], filter, 'envoy.filters.http.router', settings.insert_options);
      if (!filters) throw new ExtensionError(`there is no HTTP filter ${settings.insert_options?.filter_name ?? 'envoy.filters.http.router'}`);
      return { ...manager, http_filters: filters };
    }),
  );
}

function buildPluginConfig({ plugin_config: plugin }: Arguments, view: ProxyView, required: boolean): PluginConfig {
  const { vm_config: vm } = plugin;
  const environment = vm.environment_variables;
  const capabilities = Object.keys(plugin.capability_restriction_configuration?.allowed_capabilities ?? {});
  return {
    ...(plugin.name && { name: plugin.name }),
    ...(plugin.root_id && { root_id: plugin.root_id }),
    vm_config: {
      ...(vm.vm_id && { vm_id: vm.vm_id }),
      runtime: `envoy.wasm.runtime.${vm.runtime ?? 'v8'}`,
      code: buildCode(vm.code, view),
      ...(vm.configuration && { configuration: stringValue(vm.configuration) }),
      ...(environment && { environment_variables: { host_env_keys: environment.host_env_keys, key_values: environment.key_values ?? {} } }),
    },
    ...(plugin.configuration && { configuration: stringValue(plugin.configuration) }),
    ...(capabilities.length > 0 && { capability_restriction_config: { allowed_capabilities: Object.fromEntries(capabilities.map((name) => [name, {}])) } }),
    fail_open: !required,
  };
}

function buildCode({ local, remote }: Code, view: ProxyView): AsyncDataSource {
  if (Boolean(local) === Boolean(remote)) throw new ExtensionError('exactly one of Local and Remote code is needed');
  if (local) return { local: { filename: local.filename } };
  if (!remote) throw new ExtensionError('there is no code');
  const { http_uri: source, sha256 } = remote;
  const retries = buildRetryPolicy(remote.retry_policy);
  return {
    remote: {
      http_uri: {
        uri: source.uri,
        cluster: upstreamClusterName(view, source.service.name),
        timeout: envoyDuration(source.timeout ?? DEFAULT_FETCH_TIMEOUT_MS),
      },
      sha256,
      ...(retries && { retry_policy: retries }),
    },
  };
}

function buildRetryPolicy(settings: Remote['retry_policy']): RetryPolicy | undefined {
  const { num_retries: retries, retry_back_off: pauses } = settings ?? {};
  if (!retries && !pauses?.base_interval && !pauses?.max_interval) return undefined;
  return {
    ...(retries && { num_retries: retries }),
    ...(pauses && {
      retry_back_off: {
        ...(pauses.base_interval && { base_interval: envoyDuration(pauses.base_interval) }),
        ...(pauses.max_interval && { max_interval: envoyDuration(pauses.max_interval) }),
      },
    }),
  };
}

function stringValue(value: string): NonNullable<PluginConfig['configuration']> {
  return { '@type': 'type.googleapis.com/google.protobuf.StringValue', value };
}
