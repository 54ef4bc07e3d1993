import { expect, test } from 'vitest';
import { type Logger, silentLogger } from '../../../src/runtime/logger.ts';
import { serviceManager } from '../../../src/runtime/service-manager.ts';

function setUp(env: Record<string, string>, error: Error | null = null) {
  const sent: string[] = [];
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, message) => void warnings.push(message) };
  const notify = (variables: readonly string[], done: (error: Error | null) => void) => {
    sent.push(variables.join(' '));
    setImmediate(() => done(error));
  };
  return { manager: serviceManager({ env, logger, pid: 42, notify }), sent, warnings };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('without systemd nothing is sent', () => {
  const { manager, sent } = setUp({});
  manager.ready('up');
  manager.stopping();
  expect(sent).toEqual([]);
});

test('ready, then the watchdog again and again, then stopping and nothing more', async () => {
  const { manager, sent } = setUp({ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '30000', WATCHDOG_PID: '42' });
  manager.ready('up');
  await until(() => sent.filter((one) => one === 'WATCHDOG=1').length >= 3);
  expect(sent[0]).toBe('READY=1 STATUS=up');
  manager.stopping();
  expect(sent.at(-1)).toBe('STOPPING=1 STATUS=adsum is shutting down');
  const count = sent.length;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(sent.length).toBe(count);
});

test("another process's watchdog is not fed", async () => {
  const { manager, sent } = setUp({ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '3000', WATCHDOG_PID: '43' });
  manager.ready('up');
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(sent).toEqual(['READY=1 STATUS=up']);
  manager.close();
});

test('a systemd-notify that fails is told once', async () => {
  const { manager, sent, warnings } = setUp({ NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '15000' }, new Error('ENOENT'));
  manager.ready('up');
  await until(() => sent.length >= 4);
  manager.close();
  expect(warnings).toEqual(['systemd cannot be told how adsum is: systemd-notify failed']);
});
