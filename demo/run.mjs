// npm run demo [-- --keep | --stop [NAME] | --localhost]: a real mesh, shown step by step. Everything it starts is gone at the end.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDefaultEnvoy, findOnPath } from '../scripts/envoy-binary.mjs';
import { claimDemo, folderOf, keepDemo, listDemos, removeDemo } from './demos.mjs';
import { howToEnter, runOnHosts } from './hosts.mjs';
import { endLocalhost, runOnLocalhost } from './localhost.mjs';
import { hasFailed, say, summary } from './report.mjs';

// Other users read what the demo writes, whatever the umask is here; what only one of them may read gets a mode of its own.
process.umask(0o022);
// ip and sysctl lie in sbin, which not everybody who is root has on the PATH.
process.env.PATH = [process.env.PATH, '/usr/sbin', '/sbin'].filter(Boolean).join(path.delimiter);

const isRoot = process.getuid?.() === 0;
const [flag, name, ...surplus] = process.argv.slice(2);
const isUsage = surplus.length === 0 && (name === undefined ? [undefined, '--keep', '--stop', '--localhost'].includes(flag) : flag === '--stop');
if (isUsage) process.exitCode = flag === '--stop' ? stop(name) : await show(flag);
else {
  console.error('usage: npm run demo [-- --keep | --stop [NAME] | --localhost]');
  process.exitCode = 2;
}

/** Ends the demos that were kept, or the one of that name; one that is being shown ends by itself. */
function stop(only) {
  if (!isRoot) return complain('only root can end a demo that was left running');
  const demos = listDemos().filter((demo) => only === undefined || demo.name === only);
  if (only !== undefined && demos.length === 0) return complain(`there is no demo ${only}`);
  const shown = demos.filter(({ state }) => state === 'shown');
  for (const { name, pid } of shown) say(`${name} is being shown by process ${pid} and ends with that.`);
  for (const { name, state } of demos) {
    if (state === 'shown') continue;
    removeDemo(name);
    say(`${name} is ended; nothing of it is left.`);
  }
  if (demos.length === 0) say('No demo is running.');
  return only !== undefined && shown.length > 0 ? 1 : 0;
}

async function show(flag) {
  if (!existsSync(fileURLToPath(new URL('../dist/main.js', import.meta.url)))) return complain('dist/main.js is missing: npm ci (or npm run build) makes it');
  if (!findDefaultEnvoy()) return complain('no Envoy here: node scripts/prepare-machine.mjs --for demo');
  const obstacle = flag === '--localhost' ? 'asked for localhost only' : whyNoHosts();
  if (obstacle === undefined) return showOnHosts(flag === '--keep');
  say(`Without redirection (${obstacle}). Shown is the part that needs none: an explicit upstream on localhost.`);
  if (flag === '--keep') say('--keep has no effect here: this part ends with its last step.');
  say('');
  return showOnLocalhost();
}

/** What keeps this machine from the whole demo. */
function whyNoHosts() {
  if (!isRoot) return 'not root';
  const missing = ['ip', 'setpriv', 'sysctl', 'iptables-restore', 'ip6tables-restore'].filter((command) => !findOnPath(command));
  if (missing.length > 0) return `missing: ${missing.join(', ')}`;
  const probe = `adsum-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  if (made.status !== 0) return `network namespaces cannot be made here: ${made.stderr.trim()}`;
  spawnSync('ip', ['netns', 'delete', probe]);
  return undefined;
}

async function showOnHosts(keep) {
  for (const { name, state, since, pid } of listDemos()) {
    if (state === 'left') {
      say(`${name}: an earlier demo was interrupted; what it left is removed.`);
      removeDemo(name);
    } else if (state === 'kept') {
      say(`${name} was kept${since ? ` at ${since}` : ''} and runs. It stays as it is, and this demo is another one beside it.`);
      say(`To end the kept one: npm run demo -- --stop ${name}`);
    } else say(`${name} is being shown by process ${pid}. This demo is another one beside it.`);
  }
  const demo = claimDemo();
  return withCleanup(
    () => runOnHosts(demo),
    (end) => {
      if (keep && end === 'shown') {
        keepDemo(demo);
        say(`\n${howToEnter()}`);
        return;
      }
      if (end === 'broken' || hasFailed()) keepLogs(path.join(folderOf(demo), 'logs'));
      removeDemo(demo);
    },
  );
}

async function showOnLocalhost() {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-demo-'));
  return withCleanup(
    () => runOnLocalhost(folder),
    async (end) => {
      await endLocalhost();
      if (end === 'broken' || hasFailed()) keepLogs(path.join(folder, 'logs'));
      rmSync(folder, { recursive: true, force: true });
    },
  );
}

/** The logs of a demo that failed outlive it. */
function keepLogs(logs) {
  if (!existsSync(logs) || readdirSync(logs).length === 0) return;
  const kept = mkdtempSync(path.join(tmpdir(), 'adsum-demo-logs-'));
  cpSync(logs, kept, { recursive: true });
  say(`The logs of all that ran are in ${kept}`);
}

/** Cleans up however it ends: `shown`, with steps that failed or without; `broken` off by an error; `interrupted` by a signal. */
async function withCleanup(run, cleanUp) {
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
    process.once(signal, async () => {
      await cleanUp('interrupted');
      process.exit(128 + number);
    });
  }
  try {
    await run();
  } catch (error) {
    console.error(`\nThe demo cannot go on: ${error.stderr?.trim() || error.message}`);
    await cleanUp('broken');
    return 1;
  }
  const status = summary();
  await cleanUp('shown');
  return status;
}

function complain(text) {
  console.error(`demo: ${text}`);
  return 1;
}
