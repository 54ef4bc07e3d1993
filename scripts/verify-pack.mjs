// Whether `npm pack` gives the same bytes twice: packs two fresh copies of what is committed, each in a folder of another name and under
// another umask, and compares. Needs a minute and the packages of the lock file.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const work = mkdtempSync(path.join(tmpdir(), 'adsum-pack-'));
try {
  const sums = [0o022, 0o077].map((umask, i) => {
    process.umask(umask);
    const copy = path.join(work, `copy-${'x'.repeat(i * 7)}`);
    const run = (command, args, cwd = copy) => execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
    run('git', ['clone', '-q', root, copy], work);
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
    const [{ filename, entryCount, size }] = JSON.parse(run('npm', ['pack', '--json', '--loglevel=error']));
    const sum = createHash('sha256')
      .update(readFileSync(path.join(copy, filename)))
      .digest('hex');
    process.stdout.write(`${sum}  ${filename}, ${entryCount} files, ${size} bytes\n`);
    return sum;
  });
  if (sums[0] !== sums[1]) throw new Error('npm pack is not reproducible');
} finally {
  rmSync(work, { recursive: true, force: true });
}
