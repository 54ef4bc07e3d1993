type Config = Readonly<Record<string, unknown>>;

/** A number of `proxy.config`. Consul takes it as text, too. Absent, zero and nonsense are undefined. */
export function numberIn(config: Config, key: string): number | undefined {
  const value = Number(config[key]);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

/** A non-empty text of `proxy.config`. */
export function textIn(config: Config, key: string): string | undefined {
  const value = config[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
