/** Milliseconds per unit, as Go's `time.ParseDuration` knows them. */
const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A duration as Consul writes it, in milliseconds: a string of Go's form (`10s`, `1m30s`, `-1s`, `2500ms`, `0`) or a number of
 * nanoseconds, which is what Consul's HTTP API prints. `undefined` if it is neither.
 */
export function parseDurationMs(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value / 1e6 : undefined;
  if (typeof value !== 'string') return undefined;
  const [, sign = '', rest = ''] = /^([+-]?)(.*)$/s.exec(value) ?? [];
  if (rest === '0') return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let totalMs = 0;
  for (const [, amount = '', unit = ''] of rest.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) totalMs += Number(amount) * (UNIT_MS[unit] ?? 0);
  return sign === '-' ? -totalMs : totalMs;
}
