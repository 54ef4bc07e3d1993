import { expect, test } from 'vitest';
import { parseRecursor } from '../../../src/dns/recursor.ts';

test.each([
  ['192.0.2.1', { address: '192.0.2.1', port: 53 }],
  ['192.0.2.1:5353', { address: '192.0.2.1', port: 5353 }],
  ['2001:db8::1', { address: '2001:db8::1', port: 53 }],
  ['[2001:db8::1]', { address: '2001:db8::1', port: 53 }],
  ['[2001:db8::1]:5353', { address: '2001:db8::1', port: 5353 }],
  ['dns.example.com', undefined],
  ['[192.0.2.1]:53', undefined],
  ['192.0.2.1:0', undefined],
  ['192.0.2.1:65536', undefined],
  ['192.0.2.1:x', undefined],
  ['', undefined],
])('%s', (text, expected) => {
  expect(parseRecursor(text)).toEqual(expected);
});
