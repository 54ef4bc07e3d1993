import type { Host } from './host.ts';

/** The number of a user given by name; numbers and what nobody knows come back as they are. */
export function resolveUser(host: Host, user: string): string {
  if (/^\d+$/.test(user) || !/^[A-Za-z_][A-Za-z0-9_.@-]*\$?$/.test(user)) return user;
  const result = host.run('id', ['-u', '--', user]);
  return result.status === 0 ? result.stdout.trim() : user;
}
