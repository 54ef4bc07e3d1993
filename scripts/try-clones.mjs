// Tries the two commands of the README where people are: each time in a fresh clone, with real Envoys.
//
//   node scripts/try-clones.mjs              the quick round: as root, several difficulties at once; as a user without sudo, busy too
//   node scripts/try-clones.mjs --all        every difficulty by itself, as root and as a user (some 20 minutes)
//   node scripts/try-clones.mjs NAME…        these alone; --list names them
//
// What is committed is tried. Needs root for all but the user's part. Everything it makes is gone at the end: clones, user, demos, load; the
// logs stay when something failed.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { plainReason } from './plain-reason.mjs';

const repository = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const isRoot = process.getuid?.() === 0;

/** Busy processes: the load on the machine is at least this. */
const LOAD = 10;
/** The tests that look at files, users and the machine; for root with real Envoys in namespaces. */
const QUICK = ['test/unit/cli', 'test/unit/runtime', 'test/unit/redirect', 'test/feature'];
const QUICK_AS_ROOT = [...QUICK, 'test/envoy/mesh.test.ts', 'test/envoy/bootstrap.test.ts'];
const PROPERTIES = ['test/property'];

/** Steps run in order in one clone; the first that fails ends the case. */
const steps = {
  install: () => ({ command: ['npm', 'ci'] }),
  demo: () => ({ command: ['npm', 'run', 'demo'], expects: [/All of it works/] }),
  keep: (tried) => ({
    command: ['npm', 'run', 'demo', '--', '--keep'],
    expects: [/All of it works/],
    after: (output) => tried.kept.push(output.match(/goes on running as (\S+)\./)[1]),
  }),
  beside: (tried) => ({ command: ['npm', 'run', 'demo'], expects: [new RegExp(`^${tried.kept.at(-1)} was kept .* stays as it is`, 'm'), /All of it works/] }),
  // The kept demo still does what it did: web calls api.
  stillThere: (tried) => ({ command: callInDemo(tried.kept.at(-1)), expects: [/"status":200/] }),
  stop: (tried) => ({ command: ['npm', 'run', 'demo', '--', '--stop', tried.kept.at(-1)], expects: [/nothing of it is left/], after: () => tried.kept.pop() }),
  quickTests: () => ({ command: ['npm', 'test', '--', ...(isRoot ? QUICK_AS_ROOT : QUICK)], refuses: isRoot ? [/test\/envoy\/.*skipped/] : [] }),
  userTests: () => ({ command: ['npm', 'test', '--', ...QUICK] }),
  propertyTests: () => ({ command: ['npm', 'test', '--', ...PROPERTIES] }),
  load: () => ({ act: makeLoad }),
  allTests: () => ({ command: ['npm', 'test'] }),
};

const plain = { who: 'root', folder: 'adsum', umask: 0o022, seeded: true };
const quick = {
  'root-hardened': {
    ...plain,
    folder: 'größe ünd blanks/adsum klon',
    umask: 0o077,
    steps: ['install', 'keep', 'beside', 'stillThere', 'quickTests', 'stillThere', 'stop'],
  },
  user: { ...plain, who: 'user', steps: ['install', 'demo', 'userTests', 'load', 'demo'] },
};
const single = {
  'root-home': { ...plain, under: homedir, seeded: false, steps: ['install', 'demo', 'demo', 'quickTests'] },
  'root-private-folder': { ...plain, steps: ['install', 'demo', 'quickTests'] },
  'root-blanks': { ...plain, folder: 'größe ünd blanks/adsum klon', steps: ['install', 'demo', 'quickTests'] },
  'root-umask-077': { ...plain, umask: 0o077, steps: ['install', 'demo', 'quickTests'] },
  'root-kept': { ...plain, steps: ['install', 'keep', 'beside', 'stillThere', 'keep', 'stop', 'stillThere', 'quickTests', 'stillThere', 'stop'] },
  'root-busy': { ...plain, steps: ['install', 'load', 'demo', 'propertyTests'] },
  'user-home': { ...plain, who: 'user', seeded: false, steps: ['install', 'demo', 'demo', 'userTests'] },
  'user-blanks-umask-077': { ...plain, who: 'user', folder: 'größe ünd blanks/adsum klon', umask: 0o077, steps: ['install', 'demo', 'userTests'] },
  'user-busy': { ...plain, who: 'user', steps: ['install', 'load', 'demo', 'demo', 'propertyTests'] },
};
/** Named only: as long as the tests of the whole project. */
const long = {
  'root-all-tests': { ...plain, under: homedir, steps: ['install', 'allTests'] },
  'user-all-tests': { ...plain, who: 'user', steps: ['install', 'allTests'] },
};
const cases = { ...quick, ...single, ...long };

const args = process.argv.slice(2);
const unknown = args.find((arg) => !['--all', '--list'].includes(arg) && !(arg in cases));
if (unknown) {
  console.error(`usage: try-clones.mjs [--all | --list | NAME…]   (${unknown} is none of: ${Object.keys(cases).join(', ')})`);
  process.exit(2);
}
if (args.includes('--list')) {
  for (const [name, { steps }] of Object.entries(cases)) console.log(`${name}: ${steps.join(', ')}`);
  process.exit(0);
}
const logs = mkdtempSync(path.join(tmpdir(), 'adsum-try-clones-'));
/** What is to be undone, last first. */
const undo = [];
for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
  process.once(signal, () => {
    undoAll();
    process.exit(128 + number);
  });
}
process.exitCode = await tryAll(chosen());

function chosen() {
  if (args.includes('--all')) return { ...quick, ...single };
  return args.length === 0 ? quick : Object.fromEntries(args.map((name) => [name, cases[name]]));
}

async function tryAll(wanted) {
  if (textOf('git', ['-C', repository, 'status', '--porcelain']).trim()) say('there are changes that are not committed: they are not tried');
  let failures = 0;
  for (const [name, one] of Object.entries(wanted)) {
    try {
      if (one.who === 'root' && !isRoot) say(`${name}: skipped, not root`);
      else if (!(await tryOne(name, one))) failures += 1;
    } catch (error) {
      say(`${name}: ✗ ${error.message}`);
      failures += 1;
    } finally {
      undoAll();
    }
  }
  if (failures > 0) say(`${failures} of ${Object.keys(wanted).length} failed; the logs are in ${logs}`);
  else rmSync(logs, { recursive: true, force: true });
  return failures === 0 ? 0 : 1;
}

async function tryOne(name, one) {
  say(`${name}: ${one.steps.join(', ')}`);
  const who = one.who === 'root' || !isRoot ? currentUser() : makeUser();
  const tried = { kept: [], folder: makeClone(one, who), who, umask: one.umask };
  undo.push(() => {
    for (const kept of tried.kept) spawnSync('node', ['demo/run.mjs', '--stop', kept], { cwd: tried.folder });
  });
  for (const [at, step] of one.steps.entries()) {
    const began = Date.now();
    const failure = await runStep(steps[step](tried), path.join(logs, `${name}-${at + 1}-${step}.log`), tried);
    say(`  ${failure ? '✗' : '✓'} ${step} (${Math.round((Date.now() - began) / 1000)} s)${failure ? `: ${failure}` : ''}`);
    if (failure) return false;
  }
  return true;
}

/** Returns what went wrong. */
async function runStep({ command, expects = [], refuses = [], after, act }, log, tried) {
  if (act) return act();
  const status = await run(command, tried, log);
  const output = readFileSync(log, 'utf8');
  const tail = () => output.trim().split('\n').slice(-12).join('\n    ');
  if (status !== 0) return `${command.join(' ')} ended with ${status}: ${plainReason(output)} (log: ${log})\n    ${tail()}`;
  const missing = expects.find((pattern) => !pattern.test(output));
  if (missing) return `it did not say ${missing} (log: ${log})`;
  const refused = refuses.find((pattern) => pattern.test(output));
  if (refused) return `it said ${refused}: ${output.match(new RegExp(`.*${refused.source}.*`))[0].trim()} (log: ${log})`;
  after?.(output);
  return undefined;
}

function run([program, ...rest], { who, umask, folder }, log) {
  // exec: what is signalled is the program itself.
  const shell = ['sh', '-c', `umask ${umask.toString(8).padStart(3, '0')}; exec "$@"`, 'sh', program, ...rest];
  const words = who.uid === process.getuid() ? shell : ['setpriv', `--reuid=${who.uid}`, `--regid=${who.gid}`, '--init-groups', '--', ...shell];
  const output = openSync(log, 'w');
  const child = spawn(words[0], words.slice(1), { cwd: folder, env: environmentOf(who), stdio: ['ignore', output, output] });
  closeSync(output);
  const end = () => child.kill('SIGTERM');
  undo.push(end);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (status, signal) => {
      undo.splice(undo.indexOf(end), 1);
      resolve(status ?? signal);
    });
  });
}

/** That of a login, and how this machine reaches the package registries. */
function environmentOf({ name, home }) {
  const passed = /^(PATH|LANG|TERM|CI|.*_proxy|.*_PROXY|npm_config_.*|NPM_CONFIG_.*|PIP_.*|NODE_EXTRA_CA_CERTS|SSL_CERT_.*|REQUESTS_CA_BUNDLE)$/;
  const kept = Object.entries(process.env).filter(([key]) => passed.test(key));
  return { ...Object.fromEntries(kept), HOME: home, USER: name, LOGNAME: name, NO_COLOR: '1' };
}

function currentUser() {
  const { username, uid, gid, homedir } = userInfo();
  return { name: username, uid, gid, home: homedir };
}

function makeUser() {
  const name = `adsum-try-${process.pid}`;
  const home = path.join('/home', name);
  const made = spawnSync('useradd', ['--create-home', '--home-dir', home, '--shell', '/bin/sh', name], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`no user could be made: ${made.stderr?.trim() || made.error?.message}`);
  undo.push(() => spawnSync('userdel', ['--remove', name]));
  chmodSync(home, 0o700);
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(textOf('id', [flag, name])));
  return { name, uid, gid, home };
}

/** A clone, below a folder of mode 0700, that belongs to the user and was made under the umask. */
function makeClone({ folder, umask, seeded, under }, who) {
  const parent = mkdtempSync(path.join(under?.() ?? (isRoot && who.uid === 0 ? '/var/tmp' : who.home), 'adsum-try-'));
  undo.push(() => rmSync(parent, { recursive: true, force: true }));
  const clone = path.join(parent, folder);
  const before = process.umask(umask);
  mkdirSync(path.dirname(clone), { recursive: true });
  const git = spawnSync('git', ['-c', 'safe.directory=*', 'clone', '-q', `file://${repository}`, clone], { encoding: 'utf8' });
  if (git.status !== 0) throw new Error(`no clone could be made: ${git.stderr.trim()}`);
  if (seeded) seedEnvoys(clone);
  process.umask(before);
  if (who.uid !== process.getuid()) spawnSync('chown', ['-R', `${who.uid}:${who.gid}`, parent]);
  return clone;
}

/** As in a clone that has been used before: Envoys that are here are not fetched again. */
function seedEnvoys(clone) {
  const tools = path.join(repository, '.tools');
  if (!existsSync(tools)) return;
  mkdirSync(path.join(clone, '.tools'));
  for (const name of readdirSync(tools).filter((name) => /^envoy-[\d.]+$/.test(name))) cpSync(path.join(tools, name), path.join(clone, '.tools', name));
}

function makeLoad() {
  const busy = Array.from({ length: LOAD }, () => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  undo.push(() => {
    for (const child of busy) child.kill('SIGKILL');
  });
}

function callInDemo(name) {
  return ['ip', 'netns', 'exec', `${name}-web`, 'node', 'demo/apps/client.mjs', 'http', 'http://api.virtual.consul/'];
}

function undoAll() {
  for (let action = undo.pop(); action; action = undo.pop()) action();
}

function textOf(program, args) {
  return spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '';
}

function say(line) {
  console.log(`try-clones: ${line}`);
}
