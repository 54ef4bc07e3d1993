import { expect, test } from 'vitest';
import { resolveIdentity } from '../../../src/cli/serve-identity.ts';
import type { ServeOptions } from '../../../src/cli/serve-options.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';

const NONE: ServeOptions = { mesh: ['m'], grpc: '', admin: '', dnsRecursor: [], tlsName: [], dnsClients: [], shutdownDelay: '0s' };

function resolve(host: string, flags: Partial<ServeOptions>): { required: boolean; warned: boolean } {
  let warned = false;
  const warn = () => {
    warned = true;
  };
  const logger = { ...silentLogger, warn };
  const { required } = resolveIdentity({ ...NONE, ...flags, grpc: `${host}:1` }, host, { clock: new ManualClock(), logger });
  return { required, warned };
}

test.each([
  ['127.0.0.1', {}, false],
  ['::1', {}, false],
  ['localhost', {}, false],
  ['127.0.0.1', { requireIdentity: true }, true],
  ['10.0.0.1', {}, true],
  ['0.0.0.0', {}, true],
  ['::', {}, true],
  ['10.0.0.1', { allowAnonymous: true }, false],
  ['127.0.0.1', { allowAnonymous: true }, false],
] as const)('xDS on %s with %j asks for identities: %s; where it does not, the log says so', (host, flags, required) => {
  expect(resolve(host, flags)).toEqual({ required, warned: !required });
});

test('flags that contradict each other are wrong usage', () => {
  expect(() => resolve('10.0.0.1', { allowAnonymous: true, requireIdentity: true })).toThrow('exclude each other');
  expect(() => resolve('10.0.0.1', { allowAnonymous: true, tlsClientCa: 'f' })).toThrow('does not go with');
  expect(() => resolve('10.0.0.1', { jwtIssuer: 'i' })).toThrow('needs --jwt-jwks-file and --jwt-audience');
});
