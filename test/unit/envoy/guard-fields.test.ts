import { describe, expect, test } from 'vitest';
import * as fields from '../../../src/envoy/guard/api-fields.ts';
import { findMessageType } from '../../../src/proto/descriptor.ts';

/** A field that the API gets must be thought about before users may set it: it is refused until it stands on one of the lists. */
describe('every field of the API is on exactly one list', () => {
  test.each([
    ['envoy.config.listener.v3.Listener', fields.FREE_LISTENER_FIELDS, fields.GUARDED_LISTENER_FIELDS, fields.REFUSED_LISTENER_FIELDS],
    ['envoy.config.listener.v3.FilterChain', fields.FREE_CHAIN_FIELDS, fields.GUARDED_CHAIN_FIELDS, fields.REFUSED_CHAIN_FIELDS],
    [
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      fields.FREE_MANAGER_FIELDS,
      fields.GUARDED_MANAGER_FIELDS,
      fields.REFUSED_MANAGER_FIELDS,
    ],
  ] as const)('%s', (type, ...lists) => {
    const known = findMessageType(type)?.fieldsArray.map(({ name }) => name) ?? [];
    expect(known.length).toBeGreaterThan(5);
    expect(lists.flat().sort()).toEqual(known.sort());
  });
});
