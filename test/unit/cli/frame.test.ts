import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { addAdminAddr, adminClientFor } from '../../../src/cli/admin-client.ts';
import { CliError } from '../../../src/cli/cli-error.ts';
import type { RegisterCommand } from '../../../src/cli/program.ts';
import { doubleDashes } from '../../../src/cli/single-dash.ts';
import { cli } from './run-cli.ts';

const echo: RegisterCommand = (program, io) => {
  program
    .command('echo')
    .option('--proxy-uid <uid>')
    .option('--dry-run')
    .option('--token <token>')
    .action((options) => io.out(JSON.stringify(options)));
};

test('options of more than one letter get their second dash, values and short options do not', () => {
  const takesValue = (name: string) => name === '--token';
  expect(doubleDashes(['x', '-sidecar-for', 'web', '-proxy-uid=995', '-h', '-1', '--token', '-abc', '-token=-x', '-'], takesValue)).toEqual([
    'x',
    '--sidecar-for',
    'web',
    '--proxy-uid=995',
    '-h',
    '-1',
    '--token',
    '-abc',
    '--token=-x',
    '-',
  ]);
});

test('a line from Consul documentation is understood', async () => {
  const result = await cli(['echo', '-proxy-uid=995', '-dry-run', '-token', '-t'], { commands: [echo] });
  expect(result).toEqual({ status: 0, stdout: '{"proxyUid":"995","dryRun":true,"token":"-t"}', stderr: '' });
});

test.each([
  [['versoin'], "adsum: unknown command 'versoin'"],
  [['echo', '-proxy-uit', '1'], "adsum: unknown option '--proxy-uit'"],
  [['echo', 'surplus'], 'adsum: too many arguments'],
  [['echo', '--', 'x'], 'adsum: echo takes nothing after --'],
  [['--log-format', 'xml', 'echo'], "adsum: option '--log-format <format>' argument 'xml' is invalid"],
  [['echo', '--token'], "adsum: option '--token <token>' argument missing"],
])('%j is wrong usage: status 2, the reason first, nothing on stdout', async (args, reason) => {
  const result = await cli(args, { commands: [echo] });
  expect(result.status).toBe(2);
  expect(result.stdout).toBe('');
  expect(result.stderr.split('\n')[0]).toContain(reason);
});

test('a misspelt option or command comes with a suggestion', async () => {
  expect((await cli(['versio'])).stderr).toContain('Did you mean version?');
  expect((await cli(['echo', '-proxy-uit', '1'], { commands: [echo] })).stderr).toContain('Did you mean --proxy-uid?');
});

test('help that was asked for is status 0 on stdout; no command at all is wrong usage', async () => {
  expect(await cli(['--help'])).toMatchObject({ status: 0, stderr: '' });
  expect(await cli([])).toMatchObject({ status: 2, stdout: '' });
});

test('version prints the version alone', async () => {
  expect((await cli(['version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('an expected failure is status 1 with its hint and without a stack', async () => {
  const fail: RegisterCommand = (program) => {
    program.command('fail').action(() => {
      throw new CliError('the disk is full', { hint: 'make room' });
    });
  };
  expect(await cli(['fail'], { commands: [fail] })).toEqual({ status: 1, stdout: '', stderr: 'adsum: the disk is full\nmake room\n' });
});

/** Only for a test that hangs: a busy machine may take long to answer itself. */
const PATIENCE_MS = 120_000;

const ask: RegisterCommand = (program, io) => {
  const command = program.command('ask');
  addAdminAddr(command).action(async () => io.out(JSON.stringify(await adminClientFor(command, io, { timeoutMs: PATIENCE_MS }).get('/v1/x'))));
};

let close = () => {};
afterEach(() => close());

async function serve(status: number, body: string): Promise<string> {
  // Each request has a connection of its own: one that is kept open can be closed by the server just when the next request uses it.
  const headers = { 'content-type': 'application/json', connection: 'close' };
  const server = createServer((_request, response) => response.writeHead(status, headers).end(body));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  close = () => server.close();
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('the running adsum is found by ADSUM_ADDR or --admin-addr', async () => {
  const address = await serve(200, '{"ok":true}');
  expect((await cli(['ask'], { commands: [ask], env: { ADSUM_ADDR: `http://${address}` } })).stdout).toBe('{"ok":true}');
  expect((await cli(['ask', '-admin-addr', address], { commands: [ask] })).stdout).toBe('{"ok":true}');
});

test('its refusal is the reason given; no answer and no JSON are clear too', async () => {
  const address = await serve(404, '{"error":"no proxy web"}');
  expect(await cli(['ask', '-admin-addr', address], { commands: [ask] })).toMatchObject({ status: 1, stderr: 'adsum: no proxy web\n' });
  close();
  const gone = await cli(['ask', '-admin-addr', address], { commands: [ask] });
  expect(gone.status).toBe(1);
  expect(gone.stderr).toContain(`adsum: no adsum answers at http://${address}: connection refused\nstart one with`);
  const other = await serve(200, '<html>');
  expect((await cli(['ask', '-admin-addr', other], { commands: [ask] })).stderr).toContain('is not adsum');
  expect((await cli(['ask', '-admin-addr', 'ftp://x'], { commands: [ask] })).status).toBe(2);
});
