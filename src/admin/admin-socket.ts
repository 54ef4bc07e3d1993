import path from 'node:path';

/** The Unix socket for operators, in the data dir: only root and the user adsum runs as can open it. */
export function adminSocketOf(dataDir: string): string {
  return path.resolve(dataDir, 'admin.sock');
}
