import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildRedirectRules, buildRefuseRules } from '../../../src/redirect/build-rules.ts';
import { parseSaved } from '../../../src/redirect/parse-saved.ts';
import type { DnsRedirect, Family, RedirectConfig } from '../../../src/redirect/redirect-config.ts';
import { planRedirect } from '../../../src/redirect/redirect-traffic.ts';
import { buildTransition } from '../../../src/redirect/transition.ts';

const minimal: RedirectConfig = {
  proxyUid: 999,
  inboundPort: 20000,
  outboundPort: 15001,
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
  excludeUids: [],
};

function rules(config: Partial<RedirectConfig>, family: Family = 'ipv4'): string[] {
  return buildTransition({}, { nat: buildRedirectRules({ ...minimal, ...config }, family) })
    .split('\n')
    .filter((line) => line.startsWith('-A'));
}

test('the chains are those of Consul, the jumps take new connections only', () => {
  expect(buildTransition({}, { nat: buildRedirectRules(minimal, 'ipv4') })).toBe(`*nat
:CONSUL_DNS_REDIRECT - [0:0]
:CONSUL_PROXY_INBOUND - [0:0]
:CONSUL_PROXY_IN_REDIRECT - [0:0]
:CONSUL_PROXY_OUTPUT - [0:0]
:CONSUL_PROXY_REDIRECT - [0:0]
-A CONSUL_PROXY_INBOUND -p tcp -j CONSUL_PROXY_IN_REDIRECT
-A CONSUL_PROXY_IN_REDIRECT -p tcp -j REDIRECT --to-ports 20000
-A CONSUL_PROXY_OUTPUT -d 240.0.0.0/32 -p tcp -m tcp ! --dport 15001 -j REDIRECT
-A CONSUL_PROXY_OUTPUT ! -d 240.0.0.0/4 -o lo -j RETURN
-A CONSUL_PROXY_OUTPUT -d 127.0.0.0/8 -j RETURN
-A CONSUL_PROXY_OUTPUT -m owner --uid-owner 999 -j RETURN
-A CONSUL_PROXY_OUTPUT -j CONSUL_PROXY_REDIRECT
-A CONSUL_PROXY_REDIRECT -p tcp -j REDIRECT --to-ports 15001
-A PREROUTING -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j CONSUL_PROXY_INBOUND
-A OUTPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j CONSUL_PROXY_OUTPUT
COMMIT
`);
});

test('every exclusion ends its chain before the redirection, in an order of its own', () => {
  const config = {
    excludeInboundPorts: [8301, 22, 22],
    excludeOutboundPorts: [8300, 443],
    excludeUids: [1234, 995, 999],
    excludeOutboundCidrs: [
      { family: 'ipv4', text: '192.168.0.0/16' },
      { family: 'ipv6', text: 'fd00::/8' },
      { family: 'ipv4', text: '10.77.0.2/32' },
    ],
  } as const;
  const inChain = (chain: string, family: Family) => rules(config, family).filter((rule) => rule.startsWith(`-A ${chain} `) && rule.endsWith('RETURN'));
  expect(inChain('CONSUL_PROXY_INBOUND', 'ipv4').map((rule) => rule.slice(24))).toEqual([
    '-p tcp -m tcp --dport 22 -j RETURN',
    '-p tcp -m tcp --dport 8301 -j RETURN',
  ]);
  expect(inChain('CONSUL_PROXY_OUTPUT', 'ipv4').map((rule) => rule.slice(23))).toEqual([
    '! -d 240.0.0.0/4 -o lo -j RETURN',
    '-d 127.0.0.0/8 -j RETURN',
    '-m owner --uid-owner 995 -j RETURN',
    '-m owner --uid-owner 999 -j RETURN',
    '-m owner --uid-owner 1234 -j RETURN',
    '-d 10.77.0.2/32 -j RETURN',
    '-d 192.168.0.0/16 -j RETURN',
    '-p tcp -m tcp --dport 443 -j RETURN',
    '-p tcp -m tcp --dport 8300 -j RETURN',
  ]);
  expect(inChain('CONSUL_PROXY_OUTPUT', 'ipv6').map((rule) => rule.slice(23))).toContain('-d fd00::/8 -j RETURN');
  expect(rules(config, 'ipv6').join()).not.toContain('192.168');
});

test.each<[string, DnsRedirect, Family, string[]]>([
  [
    'a port alone: queries to 127.0.0.1',
    { server: { family: 'ipv4', text: '127.0.0.1' }, port: 8600 },
    'ipv4',
    ['-d 127.0.0.1/32 -p udp -m udp --dport 53', '-d 127.0.0.1/32 -p tcp -m tcp --dport 53', '127.0.0.1:8600'],
  ],
  [
    'an address alone: all queries',
    { server: { family: 'ipv4', text: '10.77.0.2' } },
    'ipv4',
    ['-p udp -m udp --dport 53', '-p tcp -m tcp --dport 53', '10.77.0.2'],
  ],
  [
    'both, in IPv6',
    { server: { family: 'ipv6', text: 'fd00::2' }, port: 8600 },
    'ipv6',
    ['-d fd00::2/128 -p udp -m udp --dport 53', '-d fd00::2/128 -p tcp -m tcp --dport 53', '[fd00::2]:8600'],
  ],
])('DNS: %s', (_what, dns, family, [udp, tcp, server]) => {
  const found = rules({ dns }, family);
  expect(found.filter((rule) => rule.startsWith('-A CONSUL_DNS_REDIRECT'))).toEqual([
    `-A CONSUL_DNS_REDIRECT ${udp} -j DNAT --to-destination ${server}`,
    `-A CONSUL_DNS_REDIRECT ${tcp} -j DNAT --to-destination ${server}`,
  ]);
  expect(found.filter((rule) => rule.startsWith('-A OUTPUT')).map((rule) => rule.replace(' --tcp-flags FIN,SYN,RST,ACK SYN', ''))).toEqual([
    `-A OUTPUT ${udp} -j CONSUL_DNS_REDIRECT`,
    `-A OUTPUT ${tcp} -j CONSUL_DNS_REDIRECT`,
    '-A OUTPUT -p tcp -m tcp -j CONSUL_PROXY_OUTPUT',
  ]);
  expect(rules({ dns }, family === 'ipv4' ? 'ipv6' : 'ipv4').join()).not.toContain('DNAT');
});

test('where all queries are redirected an excluded user may still ask other servers', () => {
  const all = { server: { family: 'ipv4', text: '10.77.0.2' } } as const;
  expect(rules({ dns: all, excludeUids: [5] })).toContain('-A CONSUL_DNS_REDIRECT -m owner --uid-owner 5 -j RETURN');
});

test('refusing leaves the proxy, loopback and exclusions reachable', () => {
  const text = buildTransition({}, { filter: buildRefuseRules({ ...minimal, excludeInboundPorts: [22] }) });
  expect(text.split('\n').filter((line) => line.includes('INBOUND') && line.startsWith('-'))).toEqual([
    '-A CONSUL_PROXY_INBOUND -i lo -j RETURN',
    '-A CONSUL_PROXY_INBOUND -p tcp -m tcp --dport 22 -j RETURN',
    '-A CONSUL_PROXY_INBOUND -p tcp -m tcp --dport 20000 -j RETURN',
    '-A CONSUL_PROXY_INBOUND -p tcp -j REJECT --reject-with tcp-reset',
    '-I INPUT 1 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j CONSUL_PROXY_INBOUND',
  ]);
});

const SAVED = `# Generated by iptables-save v1.8.9 (nf_tables)
*filter
:INPUT ACCEPT [3:180]
-A INPUT -p tcp -j DROP
COMMIT
*nat
:OUTPUT ACCEPT [0:0]
:CONSUL_PROXY_OUTPUT - [0:0]
:CONSUL_OTHER - [0:0]
-A OUTPUT -d 172.17.0.1/32 -j DOCKER
-A OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT
-A OUTPUT -p udp -j CONSUL_OTHER
-A OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT
-A CONSUL_PROXY_OUTPUT -j CONSUL_PROXY_REDIRECT
COMMIT
`;

test('in saved tables our chains and all jumps to them are found, and nothing else', () => {
  expect(parseSaved(SAVED).nat).toEqual({
    chains: new Map([['CONSUL_PROXY_OUTPUT', ['-j CONSUL_PROXY_REDIRECT']]]),
    jumps: new Map([['OUTPUT', { rules: ['-p tcp -j CONSUL_PROXY_OUTPUT', '-p tcp -j CONSUL_PROXY_OUTPUT'], position: 2 }]]),
  });
  expect(buildTransition(parseSaved(SAVED), {})).toBe(
    '*nat\n-D OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT\n-D OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT\n-F CONSUL_PROXY_OUTPUT\n-X CONSUL_PROXY_OUTPUT\nCOMMIT\n',
  );
});

test('nothing of ours and nothing wanted is nothing to do', () => {
  expect(buildTransition(parseSaved(''), {})).toBe('');
});

/** What iptables-save would print after an installation into empty tables. */
function saved(config: RedirectConfig): string {
  return buildTransition({}, { nat: buildRedirectRules(config, 'ipv4') });
}

test('from any configuration to any other, the result is that of a first installation, and jumps that fit stay', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  const anyConfig = fc.record({
    proxyUid: fc.nat(65534),
    inboundPort: port,
    outboundPort: port,
    excludeInboundPorts: fc.array(port, { maxLength: 3 }),
    excludeOutboundPorts: fc.array(port, { maxLength: 3 }),
    excludeOutboundCidrs: fc.constant([]),
    excludeUids: fc.array(fc.nat(65534), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(anyConfig, anyConfig, (before, after) => {
      const text = buildTransition(parseSaved(saved(before)), { nat: buildRedirectRules(after, 'ipv4') });
      expect(text.split('\n').filter((line) => /^-[DI]|^-A (OUTPUT|PREROUTING)/.test(line))).toEqual([]);
      expect(text).toBe(saved(after).replaceAll(/^-A (OUTPUT|PREROUTING).*\n/gm, ''));
    }),
  );
});

test('a plan needs no iptables, and says that it could not look', () => {
  const bare = { run: () => ({ status: undefined, stdout: '', stderr: '' }), readFile: () => '1' };
  const [ipv4 = '', ipv6 = ''] = planRedirect(minimal, bare).split(/(?=^# what is there)/m);
  expect(ipv4).toContain('# what is there cannot be read (iptables-save is not installed: it is in');
  expect(ipv4).toContain(`# iptables-restore --noflush --wait=10\n${saved(minimal)}`);
  expect(ipv6).toContain('# ip6tables-restore');
});
