import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

let folder: string | undefined;
const files = new Map<string, string>();

/** Writes what a program wrote to a file that outlives the test, for who looks into a failure; the same program, the same file. */
export function keepOutput(program: string, output: string): string {
  folder ??= mkdtempSync(path.join(tmpdir(), 'adsum-test-logs-'));
  const file = files.get(program) ?? path.join(folder, `${files.size + 1}.log`);
  files.set(program, file);
  writeFileSync(file, `${program}\n${output}`);
  return file;
}
