export interface EventuallyOptions {
  /** How long to go on trying, default 120 s: generous, because a busy machine is no failure. */
  deadlineMs?: number;
  /** Pause between two tries, default 15 ms. */
  everyMs?: number;
}

/** Thrown by an attempt when trying again cannot help. */
export class Hopeless extends Error {}

/** Tries until `attempt` does not throw and returns its value; at the deadline its last error is thrown. */
export async function eventually<T>(attempt: () => Promise<T> | T, { deadlineMs = 120_000, everyMs = 15 }: EventuallyOptions = {}): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end || error instanceof Hopeless) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
