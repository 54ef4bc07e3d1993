import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LONGEST_SOCKET_PATH } from './bootstrap-options.ts';
import type { CliIo } from './cli-io.ts';

/**
 * Where the admin interface of a proxy is when nobody says: a Unix socket in a folder that only this user may enter, because whoever
 * reaches it can read Envoy's configuration and stop it. Undefined where no such folder can be had.
 */
export function adminSocket(proxyId: string, env: CliIo['env']): string | undefined {
  const folder = privateFolder(runtimeFolder(env)) ?? temporaryFolder();
  if (folder === undefined) return undefined;
  const readable = path.join(folder, `${encodeURIComponent(proxyId)}.sock`);
  if (Buffer.byteLength(readable) <= LONGEST_SOCKET_PATH) return readable;
  const short = path.join(folder, `${createHash('sha256').update(proxyId).digest('hex').slice(0, 16)}.sock`);
  return Buffer.byteLength(short) <= LONGEST_SOCKET_PATH ? short : undefined;
}

/** Source: systemd.exec(5), `RuntimeDirectory=`; the XDG Base Directory Specification. */
function runtimeFolder(env: CliIo['env']): string | undefined {
  const given = env.RUNTIME_DIRECTORY?.split(':')[0];
  if (given) return given;
  if (env.XDG_RUNTIME_DIR) return path.join(env.XDG_RUNTIME_DIR, 'adsum');
  return process.getuid?.() === 0 ? '/run/adsum' : undefined;
}

/** The folder, made if missing, when it belongs to this user and nobody else may enter it. */
function privateFolder(folder: string | undefined): string | undefined {
  if (folder === undefined) return undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(folder);
    return uid === process.getuid?.() && (mode & 0o077) === 0 ? folder : undefined;
  } catch {
    return undefined;
  }
}

function temporaryFolder(): string | undefined {
  try {
    return mkdtempSync(path.join(tmpdir(), 'adsum-admin-'));
  } catch {
    return undefined;
  }
}
