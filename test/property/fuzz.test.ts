import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dnsExchange, runDnsExchange } from './dns-fuzz.ts';
import seeds from './fuzz-seeds.json' with { type: 'json' };
import { runXdsSession, xdsSession } from './xds-fuzz.ts';

// `node scripts/fuzz.mjs` runs as many inputs as you like; here it is a share that takes seconds. A seed that once found something is kept
// in fuzz-seeds.json and runs each time.

/** Inputs: messages of xDS clients, DNS exchanges. */
const INPUTS = Number(process.env.FUZZ_INPUTS ?? 4000);
const SEED = process.env.FUZZ_SEED === undefined ? undefined : Number(process.env.FUZZ_SEED);
/** So many messages does a session of xDS have on average; the rest of its steps are the world's. */
const MESSAGES_PER_SESSION = 10;

describe('xDS: well-formed, damaged and raw requests end in a response, a refusal or silence, and leave nothing behind', () => {
  test.each([...seeds.xds.map((seed) => [`seed ${seed}`, seed, 50] as const), ['anew', SEED, Math.ceil(INPUTS / MESSAGES_PER_SESSION)] as const])(
    '%s',
    (_name, seed, numRuns) => {
      let messages = 0;
      const property = fc.property(xdsSession, (session) => {
        messages += runXdsSession(session);
      });
      fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed }) });
      expect(messages).toBeGreaterThan(numRuns * MESSAGES_PER_SESSION * 0.8);
      if (process.env.FUZZ_INPUTS) process.stdout.write(`${messages} xDS messages in ${numRuns} sessions\n`);
    },
  );
});

describe('DNS: every message is answered readably, small, or not at all', () => {
  test.each([...seeds.dns.map((seed) => [`seed ${seed}`, seed, 200] as const), ['anew', SEED, INPUTS] as const])('%s', async (_name, seed, numRuns) => {
    await fc.assert(fc.asyncProperty(dnsExchange, runDnsExchange), { numRuns, ...(seed === undefined ? {} : { seed }) });
    if (process.env.FUZZ_INPUTS) process.stdout.write(`${numRuns} DNS messages\n`);
  });
});
