import { isIpAddress, isUsableVirtualIp, normalAddress } from '../mesh/check/address.ts';
import type { Problem } from '../mesh/problem.ts';
import { NAME_PATTERN } from '../mesh/schema/field.ts';
import type { ServiceNames } from '../mesh/service-names.ts';
import type { ParsedFile, Placed } from './parse-mesh-file.ts';

type Assignment = Placed<readonly [service: string, address: string]>;

/** Pinned and manual virtual IPs of all files. An address belongs to one service only: it is how a connection tells what it wants. */
export function collectVirtualIps(
  files: readonly ParsedFile[],
  names: ServiceNames,
): {
  readonly pinned: ReadonlyMap<string, string>;
  readonly manual: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const owners = new Map<string, Assignment>();
  const pinned = new Map<string, string>();
  const manual = new Map<string, string[]>();
  const respelled = ({ value: [service, address], place }: Assignment): Assignment => ({ value: [names.spellingOf(service), address], place });
  for (const assignment of files.flatMap((file) => file.virtualIps).map(respelled)) {
    const address = usable(assignment, owners, problems);
    const [service] = assignment.value;
    const earlier = pinned.get(service);
    if (address && earlier && earlier !== address) {
      const message = `the virtual IP of "${service}" is ${address} here and ${earlier} elsewhere`;
      problems.push({ code: 'conflicting-value', severity: 'error', message, place: assignment.place, hint: 'say it once' });
    } else if (address) pinned.set(service, address);
  }
  for (const assignment of files.flatMap((file) => file.manualVirtualIps).map(respelled)) {
    const address = usable(assignment, owners, problems);
    const [service] = assignment.value;
    if (address && !manual.get(service)?.includes(address)) manual.set(service, [...(manual.get(service) ?? []), address]);
  }
  return { pinned, manual, problems };
}

function usable(assignment: Assignment, owners: Map<string, Assignment>, problems: Problem[]): string | undefined {
  const { value, place } = assignment;
  const [service, address] = value;
  if (!NAME_PATTERN.test(service)) {
    problems.push({
      code: 'invalid-name',
      severity: 'error',
      message: `${JSON.stringify(service)} is not a valid service name`,
      place,
      hint: 'write the name of the service',
    });
    return undefined;
  }
  if (!isIpAddress(address) || !isUsableVirtualIp(address)) {
    const message = isIpAddress(address) ? `${address} cannot stand for a service` : `${JSON.stringify(address)} is not an IP address`;
    problems.push({ code: 'invalid-virtual-ip', severity: 'error', message, place, hint: 'take one that nobody has, such as 240.0.0.10' });
    return undefined;
  }
  const normal = normalAddress(address);
  const owner = owners.get(normal);
  if (owner && owner.value[0] !== service) {
    const message = `${address} is the virtual IP of "${owner.value[0]}" already (${owner.place.file}:${owner.place.line})`;
    problems.push({ code: 'duplicate-virtual-ip', severity: 'error', message, place, hint: 'choose another address' });
    return undefined;
  }
  owners.set(normal, assignment);
  return normal;
}
