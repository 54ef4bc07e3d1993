import { execFile } from 'node:child_process';
import type { Logger } from './logger.ts';

/** What systemd is told of this process. Without systemd nothing happens. */
export interface ServiceManager {
  /** Everything is served. From now on the watchdog is fed as long as the event loop turns. */
  ready(status: string): void;
  /** An orderly end has begun. */
  stopping(): void;
  close(): void;
}

export interface ServiceManagerOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** This process, as WATCHDOG_PID names it. */
  readonly pid: number;
  /** Runs `systemd-notify`; default the one of the host. */
  readonly notify?: (variables: readonly string[], done: (error: Error | null) => void) => void;
}

/**
 * Speaks sd_notify(3) with `systemd-notify`, which is where systemd is: Node has no datagram sockets of the Unix kind, and the packages that
 * add them are native code. A process of its own sends the message, so the unit needs `NotifyAccess=all`.
 */
export function serviceManager({ env, logger, pid, notify = runSystemdNotify }: ServiceManagerOptions): ServiceManager {
  if (!env.NOTIFY_SOCKET) return { ready() {}, stopping() {}, close() {} };
  let timer: NodeJS.Timeout | undefined;
  let failed = false;
  let sending = false;
  const send = (...variables: string[]) => {
    sending = true;
    notify(variables, (error) => {
      sending = false;
      if (error && !failed) logger.warn({ error: error.message }, 'systemd cannot be told how adsum is: systemd-notify failed');
      failed = error !== null;
    });
  };
  const close = () => clearInterval(timer);
  return {
    ready(status) {
      send('READY=1', `STATUS=${status}`);
      const everyMs = watchdogMs(env, pid) / 3;
      if (everyMs > 0) timer = setInterval(() => !sending && send('WATCHDOG=1'), everyMs).unref();
    },
    stopping() {
      close();
      send('STOPPING=1', 'STATUS=adsum is shutting down');
    },
    close,
  };
}

/** Within how long systemd wants a sign of life; 0: it wants none. Source: sd_watchdog_enabled(3). */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: ServiceManagerOptions['env'], pid: number): number {
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) return 0;
  const microseconds = Number(WATCHDOG_USEC ?? 0);
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 1000 : 0;
}

function runSystemdNotify(variables: readonly string[], done: (error: Error | null) => void): void {
  execFile('systemd-notify', variables, { timeout: 10_000 }, (error) => done(error));
}
