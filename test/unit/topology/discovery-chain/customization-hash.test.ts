import { describe, expect, test } from 'vitest';
import { customizationHash } from '../../../../src/topology/discovery-chain/customization-hash.ts';

describe('customizationHash', () => {
  test.each([
    [{ protocol: 'http' }, '1a47f6e1'],
    [{ protocol: 'tcp' }, '96f2c150'],
    [{ connect_timeout_ms: 1500 }, '24bc9c2e'],
    [{ connect_timeout_ms: 1234 }, '15938efd'],
    [{ connect_timeout_ms: 900, protocol: 'http' }, 'd6546882'],
    [{ mesh_gateway_mode: 'local' }, 'c225dc1c'],
    [{ mesh_gateway_mode: 'remote' }, 'dd412229'],
  ])('is what Consul 1.22 makes of %o', (overrides, hash) => {
    expect(customizationHash(overrides)).toBe(hash);
  });
});
