import { z } from 'zod';
import { type ConsulClient, ConsulError } from '../sources/consul/consul-client.ts';
import { ALLOWED, denied, type Verifier } from './verifier.ts';

/** `unknown`: Consul cannot be asked now. */
export type TokenVerdict = 'allowed' | 'denied' | 'unknown';

/** Whether a token may write a service, which is what Consul asks of a sidecar that wants its configuration. */
export type TokenCheck = (token: string | undefined, service: string) => Promise<TokenVerdict>;

/** What `/v1/internal/acl/authorize` is asked. */
export interface Permission {
  readonly Resource: 'service' | 'node';
  readonly Access: 'read' | 'write';
  /** A name; empty: what a rule for every name gives. */
  readonly Segment: string;
}

const answer = z.array(z.object({ Allow: z.boolean() }));

/** Consul's own name for the token of whoever has none; without it the agent would use its own. */
const ANONYMOUS = 'anonymous';

/** Consul's ACLs: a token is good for a proxy if it may write its service. */
export function createConsulVerifier(check: TokenCheck): Verifier {
  return {
    async verify({ token }, { id, identity: { service } }) {
      const verdict = await check(token, service);
      if (verdict === 'allowed') return ALLOWED;
      if (verdict === 'unknown') return { verdict, reason: 'Consul cannot be asked whether the token is good; try again' };
      return denied(
        token === undefined
          ? `${id} presents no token: give one with service:write on ${service} (adsum envoy --token-file, CONSUL_HTTP_TOKEN)`
          : `the token of ${id} may not write the service ${service}, or is no token of this Consul`,
      );
    },
  };
}

export function createTokenCheck(client: ConsulClient): TokenCheck {
  return (token, service) => authorize(client, token, [{ Resource: 'service', Access: 'write', Segment: service }]);
}

/** Whether a token has all of these permissions. */
export async function authorize(client: ConsulClient, token: string | undefined, permissions: readonly Permission[]): Promise<TokenVerdict> {
  try {
    const { body } = await client.request({ method: 'POST', path: '/internal/acl/authorize', json: permissions, token: token ?? ANONYMOUS });
    const parsed = answer.length(permissions.length).safeParse(body);
    return parsed.success ? (parsed.data.every(({ Allow }) => Allow) ? 'allowed' : 'denied') : 'unknown';
  } catch (error) {
    if (!(error instanceof ConsulError)) throw error;
    // 403: Consul knows no such token, or no longer
    return error.status === 403 ? 'denied' : 'unknown';
  }
}
