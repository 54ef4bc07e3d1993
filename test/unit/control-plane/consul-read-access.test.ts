import { describe, expect, it } from 'vitest';
import { createConsulReadAccess } from '../../../src/control-plane/consul-read-access.ts';
import type { TokenVerdict } from '../../../src/control-plane/consul-token-check.ts';

/** Whether a token may do what is asked for, and the question Consul got. */
async function ask(proxy: string | undefined, options: { acls?: boolean | undefined; verdict?: TokenVerdict; token?: string } = {}) {
  const asked: string[] = [];
  const access = createConsulReadAccess({
    authorize: async (_token, permissions) => {
      asked.push(...permissions.map(({ Resource, Access, Segment }) => `${Resource}:${Access} '${Segment}'`));
      return options.verdict ?? 'allowed';
    },
    aclsEnabled: () => ('acls' in options ? options.acls : true),
    serviceOf: ({ id }) => (id === 'web-sidecar-proxy' ? 'web' : undefined),
  });
  const outcome = await access.check(options.token, proxy === undefined ? undefined : { id: proxy }).then(
    () => 'yes',
    (error: { status: number; message: string }) => `${error.status}: ${error.message}`,
  );
  return { outcome, asked };
}

describe('another host', () => {
  it('sees a proxy whose service its token may write, and otherwise needs to be able to read everything', async () => {
    expect(await ask('web-sidecar-proxy')).toEqual({ outcome: 'yes', asked: ["service:write 'web'"] });
    const all = ["service:read ''", "node:read ''"];
    expect((await ask(undefined)).asked).toEqual(all);
    expect((await ask('unknown')).asked).toEqual(all);
  });

  it('is told why not', async () => {
    expect((await ask('web-sidecar-proxy', { verdict: 'denied', token: 't' })).outcome).toMatch(/^403: .*may write the service of that proxy$/);
    expect((await ask(undefined, { verdict: 'denied' })).outcome).toMatch(/^403: .*read all services and nodes; none was sent/);
    expect((await ask(undefined, { verdict: 'unknown' })).outcome).toMatch(/^503: /);
    expect((await ask(undefined, { acls: undefined })).outcome).toMatch(/^503: /);
  });

  it('is not asked for anything without ACLs', async () => {
    expect(await ask(undefined, { acls: false })).toEqual({ outcome: 'yes', asked: [] });
  });
});
