// npm run demo [-- --keep | --stop]: a real mesh, shown step by step. Everything it starts is gone at the end.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDefaultEnvoy, findOnPath } from '../scripts/envoy-binary.mjs';
import { howToEnter, runOnHosts } from './hosts.mjs';
import { endLocalhost, runOnLocalhost } from './localhost.mjs';
import { demoOwner, removeMachine } from './machine.mjs';
import { say, summary } from './report.mjs';

const args = process.argv.slice(2);
const unknown = args.find((arg) => !['--keep', '--stop', '--localhost'].includes(arg));
if (unknown) {
  console.error(`usage: npm run demo [-- --keep | --stop | --localhost]   (${unknown} is none of these)`);
  process.exit(2);
}
process.exitCode = args.includes('--stop') ? stop() : await show();

function stop() {
  if (process.getuid?.() !== 0) return complain('only root can end a demo that was left running');
  say(removeMachine() ? 'The demo is ended; nothing of it is left.' : 'No demo is running.');
  return 0;
}

async function show() {
  if (!existsSync(fileURLToPath(new URL('../dist/main.js', import.meta.url)))) return complain('dist/main.js is missing: npm ci (or npm run build) makes it');
  if (!findDefaultEnvoy()) return complain('no Envoy here: node scripts/prepare-machine.mjs --for demo');
  const obstacle = args.includes('--localhost') ? 'asked for localhost only' : whyNoHosts();
  if (obstacle === undefined) return showOnHosts(args.includes('--keep'));
  say(`Without redirection (${obstacle}). Shown is the part that needs none: an explicit upstream on localhost.\n`);
  return showOnLocalhost();
}

/** What keeps this machine from the whole demo. */
function whyNoHosts() {
  if (process.getuid?.() !== 0) return 'not root';
  const missing = ['ip', 'setpriv', 'iptables-restore', 'ip6tables-restore'].filter((command) => !findOnPath(command));
  if (missing.length > 0) return `missing: ${missing.join(', ')}`;
  const probe = spawnSync('ip', ['netns', 'add', 'adsum-demo-probe'], { encoding: 'utf8' });
  if (probe.status !== 0) return `network namespaces cannot be made here: ${probe.stderr.trim()}`;
  spawnSync('ip', ['netns', 'delete', 'adsum-demo-probe']);
  return undefined;
}

async function showOnHosts(keep) {
  const owner = demoOwner();
  if (owner) return complain(`another demo is running (process ${owner})`);
  removeMachine();
  return withCleanup(runOnHosts, (wasInterrupted) => {
    if (keep && !wasInterrupted) say(`\n${howToEnter()}`);
    else removeMachine();
  });
}

async function showOnLocalhost() {
  const folder = mkdtempSync(path.join(tmpdir(), 'adsum-demo-'));
  return withCleanup(
    () => runOnLocalhost(folder),
    async () => {
      await endLocalhost();
      rmSync(folder, { recursive: true, force: true });
    },
  );
}

/** Cleans up however it ends: well, with an error, or by a signal. */
async function withCleanup(run, cleanUp) {
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
    process.once(signal, async () => {
      await cleanUp(true);
      process.exit(128 + number);
    });
  }
  try {
    await run();
    return summary();
  } catch (error) {
    console.error(`\nThe demo cannot go on: ${error.stderr || error.message}`);
    return 1;
  } finally {
    await cleanUp(false);
  }
}

function complain(text) {
  console.error(`demo: ${text}`);
  return 1;
}
