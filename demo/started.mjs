// Waiting for what was started, with one plain line when it does not come up. The rest is in its log, which is named.
import { complaintIn, plainReason } from '../scripts/plain-reason.mjs';
import { eventually, Hopeless } from './report.mjs';

/**
 * @param what how it is called in messages, e.g. `the sidecar of web`
 * @param started what `start` returned
 * @param look resolves with undefined once it is there, else with the state it is in
 */
export async function comesUp(what, started, look) {
  await eventually(async () => {
    if (started.hasEnded()) throw new Hopeless(`${what} has ended: ${plainReason(started.output())} (log: ${started.log})`);
    const state = await look();
    const complaint = complaintIn(started.output());
    if (state !== undefined) throw new Error(`${what} is ${state}${complaint ? `: ${complaint}` : ''} (log: ${started.log})`);
  });
}

/** What the answer of an Envoy's /ready says of it; undefined: LIVE. A connection refused is one that does not listen yet. */
export function envoyState({ body, error }) {
  if (body === 'LIVE') return undefined;
  return error === 'ECONNREFUSED' ? 'not listening yet' : (body ?? error);
}
