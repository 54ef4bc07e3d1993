import type { EntryOfKind } from '../schema/config-entry.ts';
import type { Defect } from '../schema/parser.ts';
import { isAddress } from './address.ts';
import { checkRegex } from './http-match.ts';

/** What Consul refuses of a service-defaults entry. */
export function checkServiceDefaults({ destination, upstream_config: upstream, rate_limits: limits }: EntryOfKind<'service-defaults'>): Defect[] {
  const defects = (limits?.instance_level?.routes ?? []).flatMap(({ path_regex }, index) =>
    checkRegex(path_regex, ['rate_limits', 'instance_level', 'routes', index, 'path_regex']),
  );
  if (destination && destination.addresses.length === 0) {
    defects.push({ code: 'missing-field', message: 'the destination has no addresses', path: ['destination'], hint: 'add "addresses"' });
  }
  if (destination && !destination.port) {
    defects.push({ code: 'missing-field', message: 'the destination has no port', path: ['destination'], hint: 'add "port"' });
  }
  for (const [index, address] of (destination?.addresses ?? []).entries()) {
    const at = ['destination', 'addresses', index];
    if (!isAddress(address)) {
      defects.push({ code: 'invalid-address', message: `${JSON.stringify(address)} is neither an IP address nor a host name`, path: at });
    } else if (destination?.addresses.indexOf(address) !== index) {
      defects.push({ code: 'duplicate-value', message: `${address} is there twice`, path: at });
    }
  }
  for (const [index, { name, peer }] of (upstream?.overrides ?? []).entries()) {
    if (upstream?.overrides.findIndex((other) => other.name === name && other.peer === peer) !== index) {
      defects.push({
        code: 'duplicate-value',
        message: `upstream "${name}" is overridden twice`,
        path: ['upstream_config', 'overrides', index],
        hint: 'keep one',
      });
    }
  }
  return defects;
}
