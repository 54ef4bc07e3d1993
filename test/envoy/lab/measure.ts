import { expect, type TestContext } from 'vitest';

/**
 * Notes how long something took beside the test. Whether that is quick enough is asserted only with ADSUM_STRICT_TIMES=1: on a
 * busy machine a slow run is no defect.
 */
export async function measured(context: TestContext, what: string, ms: number, wantedMs: number): Promise<void> {
  await context.annotate(`${what}: ${ms} ms (wanted: ${wantedMs} ms)`);
  if (process.env.ADSUM_STRICT_TIMES) expect(ms, what).toBeLessThanOrEqual(wantedMs);
}
