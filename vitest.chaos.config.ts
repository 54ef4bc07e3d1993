import { defineConfig } from 'vitest/config';

// Runs for minutes, so it is no part of `npm test`: npm run chaos.
export default defineConfig({
  test: {
    include: ['test/chaos/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 0,
    hookTimeout: 300_000,
    disableConsoleIntercept: true,
  },
});
