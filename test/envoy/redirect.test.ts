import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Host, RunResult } from '../../src/redirect/host.ts';
import type { RedirectConfig } from '../../src/redirect/redirect-config.ts';
import { PROOF_ADDRESS } from '../../src/redirect/redirect-proof.ts';
import { installRedirect, planRedirect, undoRedirect } from '../../src/redirect/redirect-traffic.ts';
import { ADDRESS, type Backend, createNetwork, dial, HOST, hold, namespaceHost, PEER, removeNetwork, serve, stopChildren, tables } from './redirect-network.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const PROXY_UID = 5995;
const config: RedirectConfig = {
  proxyUid: PROXY_UID,
  inboundPort: 20000,
  outboundPort: 15001,
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
  excludeUids: [],
};

/** Rules of somebody else, before and behind ours, in both families and two tables. */
const FOREIGN = `*nat
:DOCKER - [0:0]
-A OUTPUT -d 172.17.0.1/32 -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
COMMIT
*filter
:FOREIGN - [0:0]
-A INPUT -p tcp -m tcp --dport 9999 -j DROP
-A FOREIGN -j ACCEPT
COMMIT
`;
const FOREIGN_LATER = '*nat\n-A OUTPUT -d 172.18.0.1/32 -j DOCKER\nCOMMIT\n';

function unavailable(backend: Backend): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (spawnSync('ip', ['netns', 'list']).status !== 0) return 'needs network namespaces';
  if (spawnSync(`iptables-${backend}-save`, ['--version']).status !== 0) return `iptables-${backend} is not installed`;
  return undefined;
}

/** The same host, except that some runs fail. */
function failing(host: Host, fails: (program: string, input: string) => boolean): Host {
  const failure: RunResult = {
    status: 2,
    stdout: '',
    stderr: 'ip6tables-restore v1.8.9 (nf_tables): \nline 3: RULE_APPEND failed (No such file or directory)\n',
  };
  return { ...host, run: (program, args, input = '') => (fails(program, input) ? failure : host.run(program, args, input)) };
}

describe.each(['nft', 'legacy'] as const)('with iptables-%s', (backend) => {
  const reason = unavailable(backend);
  if (reason) {
    test.skip(`redirection (${reason})`, () => {});
    return;
  }
  const host = namespaceHost(backend);

  describe('the tables', () => {
    beforeEach(createNetwork);
    afterEach(removeNetwork);

    test.each([
      ['nothing', ''],
      ['rules of others', FOREIGN],
    ])('undo leaves %s, as it was before; twice is once', (_what, foreign) => {
      putRules(foreign);
      const before = tables(host);
      installRedirect(config, host);
      const once = tables(host);
      expect(once).not.toBe(before);
      installRedirect(config, host);
      expect(tables(host)).toBe(once);
      undoRedirect(host);
      expect(tables(host)).toBe(before);
      undoRedirect(host);
      expect(tables(host)).toBe(before);
    });

    test('new values replace the old ones, in the same place among the rules of others', () => {
      putRules(FOREIGN);
      installRedirect(config, host);
      putRules(FOREIGN_LATER);
      installRedirect({ ...config, dns: { server: { family: 'ipv4', text: '127.0.0.1' }, port: 8600 }, inboundPort: 20001 }, host);
      const output = tables(host)
        .match(/^-A OUTPUT .*-j \S+$/gm)
        ?.map((rule) => rule.split(' -j ')[1]);
      expect(output).toEqual([
        'DOCKER',
        'CONSUL_DNS_REDIRECT',
        'CONSUL_DNS_REDIRECT',
        'CONSUL_PROXY_OUTPUT',
        'DOCKER',
        'DOCKER',
        'CONSUL_PROXY_OUTPUT',
        'DOCKER',
      ]);
      expect(tables(host)).toContain('--to-ports 20001');
      expect(tables(host)).not.toContain('--to-ports 20000');
      undoRedirect(host);
      expect(tables(host)).not.toContain('CONSUL');
    });

    test('rules of the real Consul are taken over and can be undone', () => {
      putRules(
        '*nat\n:CONSUL_PROXY_OUTPUT - [0:0]\n:CONSUL_PROXY_REDIRECT - [0:0]\n-A OUTPUT -p tcp -j CONSUL_PROXY_OUTPUT\n-A CONSUL_PROXY_OUTPUT -j CONSUL_PROXY_REDIRECT\nCOMMIT\n',
      );
      installRedirect(config, host);
      expect(tables(host).match(/-A OUTPUT .*-j CONSUL_PROXY_OUTPUT/g)).toHaveLength(2);
      undoRedirect(host);
      expect(tables(host)).toBe('');
    });

    test('a plan is what would be run, and changes nothing', () => {
      putRules(FOREIGN);
      const before = tables(host);
      const plan = planRedirect(config, host);
      expect(tables(host)).toBe(before);
      for (const [program, input] of planned(plan)) expect(host.run(program, ['--noflush'], input).status).toBe(0);
      const byHand = tables(host);
      installRedirect(config, host);
      expect(tables(host)).toBe(byHand);
    });

    test('a rule the kernel refuses leaves nothing behind', () => {
      putRules(FOREIGN);
      const before = tables(host);
      const bad = { ...config, excludeOutboundCidrs: [{ family: 'ipv4', text: '10.0.0.0/99' }] } as const;
      expect(() => installRedirect(bad, host)).toThrow('iptables-restore');
      expect(tables(host)).toBe(before);
    });

    test.each([
      ['none', undefined],
      ['earlier ones', { ...config, inboundPort: 20009, dns: { server: { family: 'ipv4', text: '10.0.0.9' } } } as const],
    ])('when IPv6 fails altogether IPv4 gets its rules back: %s', (_what, earlier) => {
      putRules(FOREIGN);
      if (earlier) installRedirect(earlier, host);
      putRules(FOREIGN_LATER);
      const before = tables(host);
      const broken = failing(host, (program) => program === 'ip6tables-restore');
      expect(() => installRedirect(config, broken)).toThrow('neither be redirected nor refused');
      expect(tables(host)).toBe(before);
    });

    test('a namespace without IPv6 is said to have none', () => {
      for (const scope of ['all', 'default']) spawnSync('ip', ['netns', 'exec', HOST, 'sysctl', '-qw', `net.ipv6.conf.${scope}.disable_ipv6=1`]);
      expect(installRedirect(config, host)).toContain('IPv6: there is none in this network namespace, nothing to do');
      expect(host.run('ip6tables-save', []).stdout).not.toContain('CONSUL');
    });
  });

  describe('connections', () => {
    beforeAll(async () => {
      createNetwork();
      const out = ['127.0.0.1 15001 proxy-out', '::1 15001 proxy-out'];
      const inbound = ['0.0.0.0 20000 proxy-in', ':: 20000 proxy-in'];
      const app = [8080, 22].flatMap((port) => [`0.0.0.0 ${port} app-${port}`, `:: ${port} app-${port}`]);
      await serve(HOST, ...out, ...inbound, ...app, '127.0.0.1 8600 dns');
      await serve(PEER, ...[80, 443].flatMap((port) => [`0.0.0.0 ${port} peer-${port}`, `:: ${port} peer-${port}`]));
    });
    afterEach(() => undoRedirect(host));
    afterAll(() => {
      stopChildren();
      removeNetwork();
    });

    test('in both directions and both families new ones go through the proxy; loopback and the proxy itself do not', () => {
      installRedirect(config, host);
      expect(dial(HOST, ADDRESS.peer4, 80)).toBe('proxy-out');
      expect(dial(HOST, '240.0.0.1', 80)).toBe('proxy-out');
      expect(dial(HOST, ADDRESS.peer6, 80)).toBe('proxy-out');
      expect(dial(PEER, ADDRESS.host4, 8080)).toBe('proxy-in');
      expect(dial(PEER, ADDRESS.host6, 8080)).toBe('proxy-in');
      expect(dial(HOST, '127.0.0.1', 8080)).toBe('app-8080');
      expect(dial(HOST, '127.3.2.1', 8080)).toBe('app-8080');
      expect(dial(HOST, '::1', 8080)).toBe('app-8080');
      expect(dial(HOST, ADDRESS.host4, 8080)).toBe('app-8080');
      expect(dial(HOST, ADDRESS.peer4, 80, PROXY_UID)).toBe('peer-80');
      expect(dial(HOST, ADDRESS.peer6, 80, PROXY_UID)).toBe('peer-80');
      undoRedirect(host);
      expect(dial(HOST, ADDRESS.peer4, 80)).toBe('peer-80');
      expect(dial(PEER, ADDRESS.host6, 8080)).toBe('app-8080');
    });

    test.each([
      ['of an application', PROXY_UID],
      ["of the proxy's user, whose other connections are left alone", 0],
    ])('whether they are is seen by a process %s', (_whose, proxyUid) => {
      const check = () => spawnSync('ip', ['netns', 'exec', HOST, process.execPath, MAIN, 'redirect-traffic', '--check'], { encoding: 'utf8' });
      expect(check()).toMatchObject({ status: 1, stderr: expect.stringContaining('adsum: not-redirected: ') });
      installRedirect({ ...config, proxyUid }, host);
      expect(dial(HOST, ADDRESS.peer4, 80)).toBe(proxyUid === 0 ? 'peer-80' : 'proxy-out');
      expect(check()).toMatchObject({ status: 0, stderr: 'new TCP connections of this host go through its proxy\n' });
      undoRedirect(host);
      expect(check().status).toBe(1);
    });

    test("the address that proves it leads into no circle at the proxy's port", () => {
      installRedirect({ ...config, proxyUid: 0 }, host);
      expect(dial(HOST, PROOF_ADDRESS, 8080)).toBe('app-8080');
      expect(dial(HOST, PROOF_ADDRESS, 15001)).not.toBe('proxy-out');
    });

    test('virtual IPs are redirected even where they were routed to lo', () => {
      spawnSync('ip', ['-n', HOST, 'route', 'add', '240.0.0.0/4', 'dev', 'lo']);
      installRedirect(config, host);
      expect(dial(HOST, '240.0.0.1', 8080)).toBe('proxy-out');
      spawnSync('ip', ['-n', HOST, 'route', 'del', '240.0.0.0/4', 'dev', 'lo']);
    });

    test('exclusions hold, and only they', () => {
      installRedirect({ ...config, excludeInboundPorts: [22], excludeOutboundPorts: [443], excludeUids: [1234] }, host);
      expect(dial(PEER, ADDRESS.host4, 22)).toBe('app-22');
      expect(dial(PEER, ADDRESS.host6, 22)).toBe('app-22');
      expect(dial(PEER, ADDRESS.host4, 8080)).toBe('proxy-in');
      expect(dial(HOST, ADDRESS.peer4, 443)).toBe('peer-443');
      expect(dial(HOST, ADDRESS.peer6, 443)).toBe('peer-443');
      expect(dial(HOST, ADDRESS.peer4, 80, 1234)).toBe('peer-80');
      expect(dial(HOST, ADDRESS.peer4, 80, 1235)).toBe('proxy-out');
      installRedirect(
        {
          ...config,
          excludeOutboundCidrs: [
            { family: 'ipv4', text: '10.99.0.0/30' },
            { family: 'ipv6', text: 'fd99::/64' },
          ],
        },
        host,
      );
      expect(dial(HOST, ADDRESS.peer4, 80)).toBe('peer-80');
      expect(dial(HOST, ADDRESS.peer6, 80)).toBe('peer-80');
      expect(dial(HOST, '10.99.0.9', 80)).toBe('proxy-out');
      expect(dial(HOST, ADDRESS.peer4, 443, 1234)).toBe('peer-443');
    });

    test('queries to 127.0.0.1:53 reach the mesh DNS', () => {
      installRedirect({ ...config, dns: { server: { family: 'ipv4', text: '127.0.0.1' }, port: 8600 } }, host);
      expect(dial(HOST, '127.0.0.1', 53)).toBe('dns');
      expect(dial(HOST, ADDRESS.peer4, 53)).toBe('proxy-out');
    });

    test('open ones survive installing and removing, in both directions', async () => {
      const outgoing = await hold(HOST, ADDRESS.peer4, 80);
      const incoming = await hold(PEER, ADDRESS.host4, 8080);
      expect([outgoing.greeting, incoming.greeting]).toEqual(['peer-80', 'app-8080']);
      installRedirect(config, host);
      expect(await outgoing.say('one')).toBe('one');
      expect(await incoming.say('one')).toBe('one');
      undoRedirect(host);
      expect(await outgoing.say('two')).toBe('two');
      expect(await incoming.say('two')).toBe('two');
    });

    test('proxied ones survive a second installation', async () => {
      installRedirect(config, host);
      const proxied = await hold(HOST, ADDRESS.peer4, 80);
      const inbound = await hold(PEER, ADDRESS.host4, 8080);
      expect([proxied.greeting, inbound.greeting]).toEqual(['proxy-out', 'proxy-in']);
      installRedirect({ ...config, excludeOutboundPorts: [443] }, host);
      expect(await proxied.say('one')).toBe('one');
      expect(await inbound.say('one')).toBe('one');
    });

    test('proxied ones survive the removal where something else keeps address translation alive', async () => {
      putRules(FOREIGN);
      installRedirect(config, host);
      const proxied = await hold(HOST, ADDRESS.peer4, 80);
      const inbound = await hold(PEER, ADDRESS.host4, 8080);
      undoRedirect(host);
      expect(await proxied.say('one')).toBe('one');
      expect(await inbound.say('one')).toBe('one');
    });

    test('where IPv6 cannot be redirected it is refused, except what is excluded and what goes to the proxy', () => {
      const noNat = failing(host, (program, input) => program === 'ip6tables-restore' && input.includes('REDIRECT --to-ports'));
      const before = tables(host);
      const report = installRedirect({ ...config, excludeInboundPorts: [22], excludeOutboundPorts: [443] }, noNat);
      expect(report[1]).toContain('IPv6: cannot be redirected here (ip6tables-restore: line 3: RULE_APPEND failed');
      expect(dial(HOST, ADDRESS.peer4, 80)).toBe('proxy-out');
      expect(dial(HOST, ADDRESS.peer6, 80)).toBe('ECONNREFUSED');
      expect(dial(HOST, ADDRESS.peer6, 80, PROXY_UID)).toBe('peer-80');
      expect(dial(HOST, ADDRESS.peer6, 443)).toBe('peer-443');
      expect(dial(HOST, '::1', 8080)).toBe('app-8080');
      expect(dial(PEER, ADDRESS.host6, 8080)).toBe('ECONNREFUSED');
      expect(dial(PEER, ADDRESS.host6, 22)).toBe('app-22');
      expect(dial(PEER, ADDRESS.host6, 20000)).toBe('proxy-in');
      undoRedirect(host);
      expect(tables(host)).toBe(before);
    });
  });

  function putRules(rules: string): void {
    if (rules === '') return;
    for (const program of ['iptables-restore', 'ip6tables-restore']) {
      const input =
        program === 'iptables-restore'
          ? rules
          : rules.replaceAll(/172\.(\d+)\.0\.(\d)\/(\d+)/g, (_all, net, last, bits) => `fd${net}::${last}/${Number(bits) * 4}`);
      const { status, stderr } = host.run(program, ['--noflush'], input);
      if (status !== 0) throw new Error(stderr);
    }
  }
});

/** The restores a plan names, each with its input. */
function planned(plan: string): [string, string][] {
  return plan.split(/^# (?=ip6?tables-restore)/m).flatMap((part): [string, string][] => {
    const [command = '', ...lines] = part.split('\n');
    return command ? [[command.split(' ')[0] ?? '', lines.join('\n')]] : [];
  });
}
