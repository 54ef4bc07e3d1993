import { defineConfig } from 'vitest/config';

// Builds images and starts containers, so it is no part of `npm test`: npm run test:compose. The tests are steps of one story.
export default defineConfig({
  test: {
    include: ['test/compose/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    bail: 1,
    reporters: ['verbose'],
  },
});
