// Takes the folder lock of argv[2], says so, and holds it. `exec` as a child of a test.
import { lockFolder } from '../../../dist/runtime/folder-lock.js';

try {
  await lockFolder(process.argv[2]);
  process.stdout.write('held\n');
  setInterval(() => {}, 1000);
} catch (error) {
  process.stdout.write(`${error.name}\n`);
}
