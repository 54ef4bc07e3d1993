// One line per step, with its evidence.
const startedMs = Date.now();
let failures = 0;

export function say(text) {
  console.log(text);
}

/** `check` returns the evidence or throws; a step that fails does not keep the next ones from being tried. */
export async function step(name, check) {
  // Most checks are synchronous: this is where Ctrl-C gets its turn.
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

export function summary() {
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  say(failures === 0 ? `\nAll of it works (${seconds} s).` : `\n${failures} step(s) failed (${seconds} s).`);
  return failures === 0 ? 0 : 1;
}

/** Tries until `attempt` does not throw; at the deadline its last error stands. */
export async function eventually(attempt, deadlineMs = 20_000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export function expect(condition, outcome) {
  if (!condition) throw new Error(JSON.stringify(outcome));
}
