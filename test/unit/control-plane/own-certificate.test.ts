import { expect, onTestFinished, test } from 'vitest';
import type { Authority, CaChange } from '../../../src/ca/authority.ts';
import { OwnCertificate } from '../../../src/control-plane/own-certificate.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';

const HOUR = 3_600_000;
const settled = () => new Promise((turn) => setImmediate(turn));

async function open() {
  const clock = new ManualClock(0);
  const state = { made: 0, failing: false, told: [] as string[] };
  let change: (what: CaChange) => void = () => {};
  const authority = {
    issueServerCertificate: async () => {
      if (state.failing) throw new Error('no disk');
      state.made += 1;
      return { certificate: `certificate ${state.made}`, privateKey: 'key', serial: '', notBefore: clock.now(), notAfter: clock.now() + 30 * HOUR };
    },
    onChange: (listener: typeof change) => {
      change = listener;
      return () => {};
    },
  } as unknown as Authority;
  const certificate = await OwnCertificate.open({ names: ['adsum'], authority, clock, logger: silentLogger });
  certificate.onChange(({ cert }) => void state.told.push(cert));
  onTestFinished(() => certificate.close());
  /** In small steps, as time passes. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 60_000) {
      clock.advance(60_000);
      await settled();
    }
  };
  return { certificate, state, pass, change: (what: CaChange) => change(what) };
}

test('it is renewed at two thirds of its life, again after a failure, and when a root is trusted no more', async () => {
  const { certificate, state, pass, change } = await open();
  await pass(19 * HOUR);
  expect(certificate.value.cert).toBe('certificate 1');
  state.failing = true;
  await pass(2 * HOUR);
  expect(certificate.value.cert).toBe('certificate 1');
  state.failing = false;
  await pass(5 * 60_000);
  expect(certificate.value.cert).toBe('certificate 2');
  change('signer');
  await settled();
  expect(state.made).toBe(2);
  change('roots');
  await settled();
  expect(state.told).toEqual(['certificate 2', 'certificate 3']);
});
