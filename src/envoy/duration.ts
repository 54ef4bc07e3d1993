/** Milliseconds as a protobuf duration in JSON: `1500` is `'1.500s'`. */
export function envoyDuration(ms: number): string {
  const whole = Math.trunc(ms / 1000);
  const rest = Math.round((ms - whole * 1000) * 1e6);
  return rest === 0
    ? `${whole}s`
    : `${whole}.${String(rest)
        .padStart(9, '0')
        .replace(/(000){1,2}$/, '')}s`;
}
