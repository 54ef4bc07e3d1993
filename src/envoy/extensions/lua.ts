import type { ExtensionArguments } from '../../mesh/schema/extension-arguments.ts';
import { typed } from '../../proto/typed.ts';
import type { EnvoyResource } from '../resource.ts';
import { ExtensionError, type ExtensionInput } from './extension.ts';
import { insertFilter, mapFilterChains, mapHttpConnectionManager } from './listeners.ts';

/** A Lua script on every HTTP chain of one side, after authorization. */
export function applyLua({ listener, script }: ExtensionArguments<'builtin/lua'>, input: ExtensionInput): EnvoyResource[] {
  const filter = {
    name: 'envoy.filters.http.lua',
    typed_config: typed('envoy.extensions.filters.http.lua.v3.Lua', { default_source_code: { inline_string: script } }),
  };
  return mapFilterChains(input, listener, (chain) =>
    mapHttpConnectionManager(chain, (manager) => {
      const filters = insertFilter(manager.http_filters ?? [], filter, 'envoy.filters.http.router', undefined);
      if (!filters) throw new ExtensionError('there is no HTTP filter envoy.filters.http.router');
      return { ...manager, http_filters: filters };
    }),
  );
}
