import { defineConfig } from 'vitest/config';

/** Only against a test that hangs: how long a test takes on a busy machine says nothing about the code. Longer than any wait in a test. */
const HANGS_AFTER_MS = 15 * 60_000;
const patience = { testTimeout: HANGS_AFTER_MS, hookTimeout: HANGS_AFTER_MS };

// Two projects: `fast` needs nothing but Node; `real` starts real Envoys (and, where found, a real Consul), one file at a time,
// because network namespaces, ports and two cores are shared.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{unit,golden,protocol,feature,property,simulation,conformance}/**/*.test.ts'],
          ...patience,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/{envoy,consul}/**/*.test.ts'],
          globalSetup: ['test/envoy/lab/publish.ts'],
          fileParallelism: false,
          ...patience,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
