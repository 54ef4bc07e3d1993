import { z } from 'zod';
import { type ConsulClient, ConsulError } from '../sources/consul/consul-client.ts';

/** `unknown`: Consul cannot be asked now. */
export type TokenVerdict = 'allowed' | 'denied' | 'unknown';

/** Whether a token may write a service, which is what Consul asks of a sidecar that wants its configuration. */
export type TokenCheck = (token: string | undefined, service: string) => Promise<TokenVerdict>;

const answer = z.array(z.object({ Allow: z.boolean() })).length(1);

/** Consul's own name for the token of whoever has none; without it the agent would use its own. */
const ANONYMOUS = 'anonymous';

export function createTokenCheck(client: ConsulClient): TokenCheck {
  return async (token, service) => {
    try {
      const { body } = await client.request({
        method: 'POST',
        path: '/internal/acl/authorize',
        json: [{ Resource: 'service', Access: 'write', Segment: service }],
        token: token ?? ANONYMOUS,
      });
      const parsed = answer.safeParse(body);
      return parsed.success ? (parsed.data[0]?.Allow ? 'allowed' : 'denied') : 'unknown';
    } catch (error) {
      if (!(error instanceof ConsulError)) throw error;
      // 403: Consul knows no such token, or no longer
      return error.status === 403 ? 'denied' : 'unknown';
    }
  };
}
