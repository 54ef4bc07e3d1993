import { afterEach, describe, expect, test } from 'vitest';
import { bareWire } from './bare-wire.ts';
import { cases } from './cases.ts';
import { Conversation } from './conversation.ts';
import { grpcWire } from './grpc-wire.ts';
import type { Wire } from './wire.ts';

// One suite of conversations × {delta, state of the world} × {bare state machine, real gRPC}.

const wires: readonly { readonly name: string; open(): Promise<Wire> }[] = [
  { name: 'bare', open: async () => bareWire() },
  { name: 'gRPC', open: grpcWire },
];

for (const wireKind of wires)
  for (const variant of ['delta', 'sotw'] as const)
    describe(`${variant}, ${wireKind.name}`, () => {
      let wire: Wire | undefined;
      afterEach(async () => {
        await wire?.close();
        wire = undefined;
      });
      for (const one of cases) {
        const run = one[variant];
        if (!run) continue;
        test(one.name, async () => {
          wire = await wireKind.open();
          await run(new Conversation(wire, variant));
        });
      }
    });

test('a variant is missing from a case only for a reason given', () => {
  for (const one of cases)
    for (const variant of ['delta', 'sotw'] as const) expect(Boolean(one[variant]) || Boolean(one.skip?.[variant]), `${one.name}: ${variant}`).toBe(true);
});
