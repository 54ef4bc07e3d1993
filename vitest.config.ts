import { defineConfig } from 'vitest/config';

// Two projects: `fast` needs nothing but Node; `real` starts real Envoys (and, where found, a real Consul), one file at a time,
// because network namespaces, ports and two cores are shared.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          include: ['test/{unit,golden,protocol,feature,property,simulation,conformance}/**/*.test.ts'],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/{envoy,consul}/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
