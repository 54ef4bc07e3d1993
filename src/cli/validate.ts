import type { Command } from 'commander';
import { formatProblem } from '../mesh/problem.ts';
import { redact } from '../runtime/redact.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';

export function registerValidate(program: Command, io: CliIo): void {
  program
    .command('validate')
    .description('every defect of a mesh with file, line and code; exit status 1 if any is an error')
    .option('--mesh <path>', 'a mesh file, or a folder of them (repeatable)', (value: string, before: string[]) => [...before, value], [])
    .option('--json', 'as JSON')
    .action(async (options: { mesh: string[]; json?: boolean }) => {
      if (options.mesh.length === 0) throw new UsageError('validate needs --mesh PATH');
      const { readMeshFiles } = await import('../sources/read-mesh-files.ts'); // the schemas take a while to load
      const { checkDiscoveryChains } = await import('../topology/discovery-chain/check.ts');
      const { mesh, problems: found } = readMeshFiles(options.mesh);
      const known = new Set(found.map(({ code }) => code));
      const ofChains = mesh ? checkDiscoveryChains(mesh.configEntries, mesh.datacenter).filter(({ code }) => !known.has(code)) : [];
      const problems = [...found, ...ofChains];
      const shown = redact(problems);
      io.out(options.json ? `${JSON.stringify({ problems: shown }, null, 2)}\n` : shown.map((problem) => `${formatProblem(problem)}\n`).join(''));
      const errors = problems.filter(({ severity }) => severity === 'error').length;
      if (errors > 0) throw new CliError(`${errors} error${errors === 1 ? '' : 's'} in the mesh`);
      if (problems.length === 0 && !options.json) io.err('no defect found\n');
    });
}
