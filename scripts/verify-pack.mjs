// Whether `npm pack` gives the same bytes twice: packs two fresh copies of what is committed, each in a folder of another name, and
// compares. npm keeps the permissions of files, so the umask counts: 022. Needs a minute and the packages of the lock file.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const work = mkdtempSync(path.join(tmpdir(), 'adsum-pack-'));
try {
  process.umask(0o022);
  const sums = ['one', 'the-other'].map((name) => {
    const copy = path.join(work, name);
    const run = (command, args, cwd = copy) => execFileSync(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
    run('git', ['clone', '-q', root, copy], work);
    run('git', ['checkout', '-q', commit]);
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
