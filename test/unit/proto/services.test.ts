import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode } from '../../../src/proto/codec.ts';
import {
  decodeDeltaRequest,
  decodeNode,
  decodeSotwRequest,
  encodeDeltaResource,
  encodeDeltaResponse,
  encodeSotwResource,
  encodeSotwResponse,
} from '../../../src/proto/services.ts';

// The hand-written codec against the one made from the descriptor.

const typeUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const node = {
  id: 'web',
  cluster: 'c',
  metadata: { n: 1, node_name: 'vm', ipv6: true, deep: { node_name: 'other', ipv6: false } },
  user_agent_name: 'envoy',
  user_agent_build_version: { version: { major_number: 1, minor_number: 36, patch: 4 } },
};
const cluster = { name: 'a', alt_stat_name: 'x' };
const bytes = encode('envoy.config.cluster.v3.Cluster', cluster);

describe('requests', () => {
  test('delta', () => {
    const request = decodeDeltaRequest(
      encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
        node,
        type_url: typeUrl,
        resource_names_subscribe: ['a', ''],
        resource_names_unsubscribe: ['b'],
        initial_resource_versions: { c: 'v', d: '' },
        response_nonce: 'n',
        error_detail: { code: 3, message: 'bad', details: [] },
        resource_locators_subscribe: [{ name: 'ignored' }],
      }),
    );
    expect(request).toMatchObject({ typeUrl, subscribe: ['a', ''], unsubscribe: ['b'], nonce: 'n', error: 'bad' });
    expect([...request.initialVersions]).toEqual([
      ['c', 'v'],
      ['d', ''],
    ]);
    expect(decodeNode(request.node ?? new Uint8Array())).toEqual({
      id: 'web',
      nodeName: 'vm',
      ipv6: true,
      userAgent: 'envoy',
      version: [1, 36, 4],
    });
  });

  test('state of the world; an error without a message is a refusal all the same', () => {
    const request = decodeSotwRequest(
      encode('envoy.service.discovery.v3.DiscoveryRequest', { version_info: 'v', resource_names: ['a', 'b'], type_url: typeUrl, error_detail: {} }),
    );
    expect(request).toEqual({ version: 'v', names: ['a', 'b'], typeUrl, nonce: '', error: 'no reason given' });
  });

  test('garbage is an error or a request, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (garbage) => {
        for (const read of [decodeDeltaRequest, decodeSotwRequest, decodeNode])
          try {
            read(garbage);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
      }),
    );
    expect(() => decodeDeltaRequest(Uint8Array.of(0x12, 0x7f, 0x61))).toThrow();
    expect(() => decodeDeltaRequest(Uint8Array.of(0x3a, 0x7f, 0x12, 0x01, 0x61))).toThrow();
  });
});

describe('responses', () => {
  test('delta', () => {
    const resources = [encodeDeltaResource(typeUrl, 'a', 'v1', bytes)];
    expect(
      decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', encodeDeltaResponse({ typeUrl, version: 's', nonce: 'n', resources, removed: ['b', 'c'] })),
    ).toEqual({
      system_version_info: 's',
      type_url: typeUrl,
      nonce: 'n',
      resources: [{ name: 'a', version: 'v1', resource: { '@type': typeUrl, ...cluster } }],
      removed_resources: ['b', 'c'],
    });
  });

  test('state of the world', () => {
    const resources = [encodeSotwResource(typeUrl, bytes), encodeSotwResource(typeUrl, bytes)];
    expect(decode('envoy.service.discovery.v3.DiscoveryResponse', encodeSotwResponse({ typeUrl, version: 's', nonce: 'n', resources }))).toEqual({
      version_info: 's',
      type_url: typeUrl,
      nonce: 'n',
      resources: [
        { '@type': typeUrl, ...cluster },
        { '@type': typeUrl, ...cluster },
      ],
    });
  });
});
