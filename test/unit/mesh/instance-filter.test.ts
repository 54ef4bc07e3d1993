import { describe, expect, test } from 'vitest';
import type { Instance } from '../../../src/mesh/instance.ts';
import { parseInstanceFilter } from '../../../src/mesh/instance-filter/instance-filter.ts';

const instance: Instance = {
  node: 'vm-1',
  nodeAddress: '10.0.0.1',
  nodeMeta: { rack: 'r1' },
  id: 'api-1-sidecar-proxy',
  service: 'api-sidecar-proxy',
  kind: 'connect-proxy',
  address: '',
  port: 21000,
  tags: ['canary', 'blue'],
  meta: { version: 'v2', 'two words': 'x', empty: '' },
  taggedAddresses: {},
  weights: { passing: 3, warning: 1 },
  health: 'passing',
  connectNative: false,
  agentLocal: false,
  checks: [],
};

const matches = (filter: string) => parseInstanceFilter(filter).matches(instance);

describe('subset filters', () => {
  test.each([
    '',
    'Service.Meta.version == v2',
    'Service.Meta.version == "v2"',
    'Service.Meta["version"]==`v2`',
    '(Service.Meta.version == v2)',
    '( Service.Meta.version != v1 ) and "canary" in Service.Tags',
    'canary in Service.Tags',
    'Service.Tags contains canary',
    'not canary not in Service.Tags',
    'nothing not in Service.Tags',
    'Service.Meta.version matches "^v[0-9]$"',
    'Service.Meta.version matches "(?i)V2"',
    'Service.Meta.version not matches "^v1"',
    'Service.Meta contains version',
    'version in Service.Meta',
    'Service.Meta.version contains v',
    'Service.Tags is not empty and Service.Meta is not empty',
    'Service.Port == 21000 and Service.Weights.Passing != 1',
    'Service.Connect.Native == false',
    'Checks.Status == passing',
    'Node.Meta.rack == r1 and Node.Node == "vm-1"',
    'Service.ID == x or Service.Kind == "connect-proxy"',
    // "and" binds tighter than "or".
    'Node.Node == "vm-1" or Node.Node == x and Node.Node == y',
    'Service.Meta.empty == ""',
    // A key that is not there: all but ==, in and "is not empty" hold.
    'Service.Meta.nothing != v1',
    'Service.Meta.nothing matches v1',
    'Service.Meta.nothing not in Service.Meta or Service.Meta.nothing not contains a',
  ])('%s', (filter) => {
    expect(parseInstanceFilter(filter).error).toBeUndefined();
    expect(matches(filter)).toBe(true);
  });

  test.each([
    'Service.Meta.version == v1',
    'Service.Meta.nothing == v1',
    'Service.Meta.nothing contains v1',
    'not Service.Meta.version == v2',
    'Service.Tags is empty',
    'can in Service.Tags',
    'Service.Meta.toString == x',
    'toString in Service.Meta',
  ])('not: %s', (filter) => {
    expect(parseInstanceFilter(filter).error).toBeUndefined();
    expect(matches(filter)).toBe(false);
  });

  test.each([
    'Service.Meta.version',
    'Service.Meta.version = v1',
    'Service.Meta.version == 1.2.3',
    'Service.Nonsense == 1',
    'Service.Meta.a.b == 1',
    'Service.Port == http',
    'Service.Port matches 1',
    'Service.Tags == canary',
    'Service.Meta is v1',
    'Service.Meta.version == v1 and',
    '(Service.Meta.version == v1',
    'Service.Meta.version == "v1',
    'Service.Meta.version matches "("',
    'Service.Connect.Native == maybe',
    `${'('.repeat(500)}Service.Port == 1${')'.repeat(500)}`,
  ])('what cannot be understood matches nothing: %s', (filter) => {
    expect(parseInstanceFilter(filter).error).toBeDefined();
    expect(matches(filter)).toBe(false);
  });
});
