import { buildRedirectRules, buildRefuseRules } from './build-rules.ts';
import type { Host } from './host.ts';
import { applyRules, RedirectError, readRules, restoreCommand } from './iptables.ts';
import type { Family, RedirectConfig } from './redirect-config.ts';
import { NO_RULES, type RuleSets } from './rule-set.ts';
import { buildTransition } from './transition.ts';

/** What was done, a line per family, for people. */
export type Report = string[];

/**
 * Redirects the TCP connections of this network namespace through the proxy, both families or none. Doing it again replaces what
 * was there. Open connections go on. Where the kernel cannot redirect IPv6, new IPv6 connections are refused.
 * @throws RedirectError; then the tables are what they were
 */
export function installRedirect(config: RedirectConfig, host: Host): Report {
  const before = mustRead(host, 'ipv4');
  const outcome = applyRules(host, 'ipv4', buildTransition(before, { nat: buildRedirectRules(config, 'ipv4') }));
  if (!outcome.ok) throw new RedirectError(outcome.reason);
  try {
    return ['IPv4: new TCP connections go through the proxy', installIpv6(config, host)];
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error;
    const left = putBack(host, 'ipv4', before);
    if (left === undefined) throw error;
    throw new RedirectError(`${error.message}; and IPv4 could not be put back: ${left}`, 'adsum redirect-traffic --undo removes what is left');
  }
}

/** Removes every chain and rule of ours, whatever its values; what others put there stays. */
export function undoRedirect(host: Host): Report {
  const report: Report = [];
  const failures: string[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const result = undoFamily(host, family);
    if (result.failed !== undefined) failures.push(result.failed);
    else report.push(result.done);
  }
  if (failures.length > 0) throw new RedirectError(['not everything was removed', ...report, ...failures].join('; '));
  return report;
}

/** The input both restores would get, and changes nothing. Where the tables cannot be read they count as empty. */
export function planRedirect(config: RedirectConfig | 'undo', host: Host): string {
  const parts = (['ipv4', 'ipv6'] as const).map((family) => {
    if (family === 'ipv6' && config !== 'undo' && !hasIpv6(host)) return '# no IPv6 in this network namespace\n';
    const present = readForPlan(host, family);
    const input = buildTransition('failed' in present ? {} : present, config === 'undo' ? {} : { nat: buildRedirectRules(config, family) });
    const unread = 'failed' in present ? `# what is there cannot be read (${present.failed}); this is for empty tables\n` : '';
    return `${unread}# ${restoreCommand(family)}\n${input || '# nothing to do\n'}`;
  });
  return parts.join('');
}

/** A plan may be made on another machine than the one it is for: without iptables here it is as good. */
function readForPlan(host: Host, family: Family): ReturnType<typeof readRules> {
  try {
    return readRules(host, family);
  } catch (error) {
    if (error instanceof RedirectError) return { failed: [error.message, error.hint].filter(Boolean).join(': ') };
    throw error;
  }
}

function installIpv6(config: RedirectConfig, host: Host): string {
  if (!hasIpv6(host)) return 'IPv6: there is none in this network namespace, nothing to do';
  const before = mustRead(host, 'ipv6');
  const redirected = applyRules(host, 'ipv6', buildTransition(before, { nat: buildRedirectRules(config, 'ipv6') }));
  if (redirected.ok) return 'IPv6: new TCP connections go through the proxy';
  if (redirected.temporary) throw new RedirectError(redirected.reason);
  // Tables are transactions of their own, so the first may have gone through before a second failed.
  putBack(host, 'ipv6', before);
  const refused = applyRules(host, 'ipv6', buildTransition(before, { nat: NO_RULES, filter: buildRefuseRules(config) }));
  if (refused.ok) return `IPv6: cannot be redirected here (${redirected.reason}); new TCP connections are refused`;
  putBack(host, 'ipv6', before);
  throw new RedirectError(
    `IPv6 can neither be redirected nor refused, and would be a way around the proxy: ${redirected.reason}; ${refused.reason}`,
    'switch IPv6 off (sysctl net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1) or load ip6table_nat',
  );
}

function undoFamily(host: Host, family: Family): { done: string; failed?: undefined } | { failed: string } {
  const name = family === 'ipv4' ? 'IPv4' : 'IPv6';
  const present = readRules(host, family);
  if ('failed' in present) return family === 'ipv6' && !hasIpv6(host) ? { done: 'IPv6: there is none' } : { failed: present.failed };
  const input = buildTransition(present, {});
  if (input === '') return { done: `${name}: nothing to remove` };
  const outcome = applyRules(host, family, input);
  return outcome.ok ? { done: `${name}: removed` } : { failed: outcome.reason };
}

function mustRead(host: Host, family: Family): RuleSets {
  const present = readRules(host, family);
  if ('failed' in present) throw new RedirectError(present.failed);
  return present;
}

/** Makes the tables what `before` says; returns the reason where that failed. */
function putBack(host: Host, family: Family, before: RuleSets): string | undefined {
  const present = readRules(host, family);
  if ('failed' in present) return present.failed;
  const outcome = applyRules(host, family, buildTransition(present, before));
  return outcome.ok ? undefined : outcome.reason;
}

/** Whether the namespace has IPv6, or could get it without somebody switching it on on purpose. */
export function hasIpv6(host: Host): boolean {
  const addresses = host.readFile('/proc/net/if_inet6');
  if (addresses === undefined) return false;
  if (addresses.trim() !== '') return true;
  return !['all', 'default'].every((scope) => host.readFile(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`)?.trim() === '1');
}
