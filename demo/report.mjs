// One line per step, with its evidence.
const startedMs = Date.now();
let failures = 0;

export function say(text) {
  console.log(text);
}

/** `check` returns the evidence or throws; a step that fails does not keep the next ones from being tried. */
export async function step(name, check) {
  // Where checks are synchronous this is where Ctrl-C gets its turn.
  await new Promise((resolve) => setImmediate(resolve));
  try {
    console.log(`  ✓ ${name}: ${await check()}`);
  } catch (error) {
    failures += 1;
    console.log(`  ✗ ${name}: ${error.message}`);
  }
}

/** A step without which the others make no sense. */
export async function need(name, check) {
  const before = failures;
  await step(name, check);
  if (failures > before) throw new Error(`not without "${name}"`);
}

export function hasFailed() {
  return failures > 0;
}

export function summary() {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  say(failures === 0 ? `\nAll of it works (${seconds} s).` : `\n${failures} step(s) failed (${seconds} s).`);
  return failures === 0 ? 0 : 1;
}

/** Thrown by an attempt when trying again cannot help. */
export class Hopeless extends Error {}

/** Only against a wait without end: on a busy machine everything takes longer, and that is no failure. */
const giveUpAfterMs = 5 * 60_000;
const wordEveryMs = 10_000;

/** Tries until `attempt` does not throw, and says now and then what it waits for; in the end the last error stands. */
export async function eventually(attempt) {
  const beganMs = Date.now();
  let nextWordMs = beganMs + wordEveryMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const nowMs = Date.now();
      if (error instanceof Hopeless || nowMs > beganMs + giveUpAfterMs) throw error;
      if (nowMs > nextWordMs) {
        console.log(`    … ${error.message} (waiting for ${Math.round((nowMs - beganMs) / 1000)} s)`);
        nextWordMs = nowMs + wordEveryMs;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export function expect(condition, outcome) {
  if (!condition) throw new Error(JSON.stringify(outcome));
}
