import { expect, test } from 'vitest';
import type { Host } from '../../../src/redirect/host.ts';
import { parseRedirect, type RedirectValues } from '../../../src/redirect/parse-redirect.ts';
import { hasIpv6 } from '../../../src/redirect/redirect-traffic.ts';
import { resolveUser } from '../../../src/redirect/resolve-user.ts';

const values: RedirectValues = {
  proxyUid: '995',
  inboundPort: '20000',
  outboundPort: '15001',
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
  excludeUids: [],
};

test('networks go to their family with host bits cleared; a bare address is a network of one', () => {
  const config = parseRedirect({ ...values, excludeOutboundCidrs: ['10.1.2.3/8', '192.168.1.1', 'FD00:0:0::1/16', '::1', '0.0.0.0/0'] });
  expect(config).toMatchObject({
    excludeOutboundCidrs: [
      { family: 'ipv4', text: '10.0.0.0/8' },
      { family: 'ipv4', text: '192.168.1.1/32' },
      { family: 'ipv6', text: 'fd00::/16' },
      { family: 'ipv6', text: '::1/128' },
      { family: 'ipv4', text: '0.0.0.0/0' },
    ],
  });
});

test('a DNS port alone means 127.0.0.1', () => {
  expect(parseRedirect({ ...values, dnsPort: '8600' })).toMatchObject({ dns: { server: { family: 'ipv4', text: '127.0.0.1' }, port: 8600 } });
  expect(parseRedirect({ ...values, dnsIp: 'FD00::0:2' })).toMatchObject({ dns: { server: { family: 'ipv6', text: 'fd00::2' } } });
  expect(parseRedirect(values)).not.toHaveProperty('dns');
});

test('every defect is named at once, with its flag', () => {
  const result = parseRedirect({
    proxyUid: '4294967295',
    inboundPort: '0',
    outboundPort: '65536',
    excludeInboundPorts: ['22', 'ssh'],
    excludeOutboundPorts: ['-1', '1e3'],
    excludeOutboundCidrs: ['10.0.0.0/33', '10.0.0/8', 'fe80::1%eth0/64', '10.0.0.0/8/8', 'fd00::/129', ''],
    excludeUids: ['nobody-here'],
    dnsIp: 'localhost',
    dnsPort: '53 ',
  });
  expect('defects' in result && result.defects.map((defect) => defect.split(' is not ')[0])).toEqual([
    "--proxy-uid '4294967295'",
    "--proxy-inbound-port '0'",
    "--proxy-outbound-port '65536'",
    "--exclude-inbound-port 'ssh'",
    "--exclude-outbound-port '-1'",
    "--exclude-outbound-port '1e3'",
    "--exclude-outbound-cidr '10.0.0.0/33'",
    "--exclude-outbound-cidr '10.0.0/8'",
    "--exclude-outbound-cidr 'fe80::1%eth0/64'",
    "--exclude-outbound-cidr '10.0.0.0/8/8'",
    "--exclude-outbound-cidr 'fd00::/129'",
    "--exclude-outbound-cidr ''",
    "--exclude-uid 'nobody-here'",
    "--consul-dns-ip 'localhost'",
    "--consul-dns-port '53 '",
  ]);
});

test('both directions cannot end at one port', () => {
  expect(parseRedirect({ ...values, outboundPort: '20000' })).toEqual({ defects: ['--proxy-inbound-port and --proxy-outbound-port are both 20000'] });
});

function fakeHost(files: Record<string, string>, users: Record<string, string> = {}): Host {
  return {
    run: (_program, args) => ({ status: users[args.at(-1) ?? ''] ? 0 : 1, stdout: `${users[args.at(-1) ?? '']}\n`, stderr: '' }),
    readFile: (file) => files[file],
  };
}

test('users may be given by name', () => {
  const host = fakeHost({}, { envoy: '995' });
  expect(resolveUser(host, 'envoy')).toBe('995');
  expect(resolveUser(host, '42')).toBe('42');
  expect(resolveUser(host, 'nobody-here')).toBe('nobody-here');
  expect(resolveUser(host, '--help')).toBe('--help');
});

test('a namespace counts as having IPv6 unless the kernel has none or it is switched off', () => {
  const sysctl = (scope: string) => `/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`;
  const off = { [sysctl('all')]: '1\n', [sysctl('default')]: '1\n' };
  expect(hasIpv6(fakeHost({}))).toBe(false);
  expect(hasIpv6(fakeHost({ '/proc/net/if_inet6': '', ...off }))).toBe(false);
  // An interface may still come up.
  expect(hasIpv6(fakeHost({ '/proc/net/if_inet6': '', [sysctl('all')]: '0\n', [sysctl('default')]: '0\n' }))).toBe(true);
  expect(hasIpv6(fakeHost({ '/proc/net/if_inet6': 'fd00… eth0\n', ...off }))).toBe(true);
});
