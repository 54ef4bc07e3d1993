import type { EntryLookup } from '../mesh/mesh.ts';
import type { Upstream } from '../mesh/schema/upstream.ts';
import { type UpstreamTuning, upstreamTuning } from '../mesh/schema/upstream.ts';

/** How one service calls another. Absent fields have Envoy's or the discovery chain's defaults. */
export type UpstreamSettings = Partial<UpstreamTuning>;

/**
 * An explicit upstream's own `config` wins over the caller's service-defaults: `overrides` for that upstream over `defaults`.
 * Each key is taken whole from one place. Source: Consul's service-defaults reference, `UpstreamConfig`.
 */
export function resolveUpstreamSettings(entries: EntryLookup, caller: string, callee: string, explicit?: Upstream): UpstreamSettings {
  const central = entries.get('service-defaults', caller)?.upstream_config;
  const override = central?.overrides.find(({ name, peer }) => name === callee && !peer);
  return { ...present(central?.defaults), ...present(override), ...present(explicitSettings(explicit)) };
}

function explicitSettings(explicit: Upstream | undefined): UpstreamSettings {
  if (!explicit) return {};
  const settings: UpstreamSettings = { ...tuningOf(explicit.config ?? {}) };
  return explicit.mesh_gateway?.mode ? { ...settings, mesh_gateway: explicit.mesh_gateway } : settings;
}

/** The source of the mesh has reported what does not fit; here each known key that fits is taken. */
function tuningOf(config: Readonly<Record<string, unknown>>): UpstreamSettings {
  const fitting = Object.entries(upstreamTuning.shape).flatMap(([key, schema]) => {
    const parsed = schema.safeParse(config[key]);
    return parsed.success && parsed.data !== undefined ? [[key, parsed.data] as const] : [];
  });
  return Object.fromEntries(fitting);
}

/** Zeros, empty strings and absent keys say nothing, as in Consul. */
function present(settings: UpstreamSettings | undefined): UpstreamSettings {
  return Object.fromEntries(Object.entries(settings ?? {}).filter(([, value]) => value));
}
