import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../../src/mesh/problem.ts';
import { parseMeshFiles } from '../../../src/sources/parse-mesh-files.ts';

const folder = path.resolve(import.meta.dirname, '../../../../shared/conformance/scenarios');
const scenarios = existsSync(folder) ? readdirSync(folder).sort() : [];

describe.skipIf(scenarios.length === 0)('the meshes recorded from Consul load without a defect', () => {
  test.each(scenarios)('%s', (scenario) => {
    const file = path.join(folder, scenario, 'mesh.json');
    const { mesh, problems } = parseMeshFiles([{ path: 'mesh.json', text: readFileSync(file, 'utf8') }]);
    expect(problems.map(formatProblem)).toEqual([]);
    expect(mesh?.instances.length).toBeGreaterThan(0);
  });
});
