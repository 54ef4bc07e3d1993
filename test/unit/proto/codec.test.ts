import { expect, test } from 'vitest';
import { decode, encode } from '../../../src/proto/codec.ts';

test('a Struct keeps every kind of value', () => {
  const metadata = { text: 'a', number: 1.5, yes: true, no: false, nothing: null, list: [1, 'b', { c: [] }], object: { d: { e: 'f' } } };
  expect(decode('envoy.config.core.v3.Node', encode('envoy.config.core.v3.Node', { id: 'n', metadata }))).toEqual({ id: 'n', metadata });
});

test('fields at their default, empty lists and maps are left out', () => {
  expect(
    decode('envoy.config.cluster.v3.Cluster', encode('envoy.config.cluster.v3.Cluster', { name: 'a', filters: [], typed_extension_protocol_options: {} })),
  ).toEqual({ name: 'a' });
});
