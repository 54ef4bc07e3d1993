// Fails when a room imports what it may not (.dependency-cruiser.cjs), and when suspiciously few modules were seen:
// dependency-cruiser prints a green "0 modules" where its parser does not understand the sources.
import { createRequire } from 'node:module';
import { cruise, format } from 'dependency-cruiser';

const MINIMUM_MODULES = 60;
const { options, ...ruleSet } = createRequire(import.meta.url)('../.dependency-cruiser.cjs');

const { output } = await cruise(['src'], { ...options, validate: true, ruleSet });
const { output: report } = await format(output, { outputType: 'err' });
console.log(report.trim());
const seen = output.modules.filter(({ source }) => source.startsWith('src/')).length;
if (seen < MINIMUM_MODULES) {
  console.error(`layers: only ${seen} modules seen, at least ${MINIMUM_MODULES} expected: is the parser working?`);
  process.exit(1);
}
process.exit(output.summary.error > 0 ? 1 : 0);
