import type { EntryOfKind } from '../schema/config-entry.ts';
import type { ValuePath } from '../schema/parser.ts';

/** A service, and perhaps a subset of it, that a router, splitter or resolver leads to. */
export interface Target {
  readonly service: string;
  readonly subset?: string | undefined;
  /** Where the entry says so. */
  readonly path: ValuePath;
  /** In another cluster, of which nothing is known here. */
  readonly isElsewhere: boolean;
}

type Leading = EntryOfKind<'service-router'> | EntryOfKind<'service-splitter'> | EntryOfKind<'service-resolver'>;

/** Everything an entry leads to. */
export function targetsOf(entry: Leading): Target[] {
  switch (entry.kind) {
    case 'service-router':
      return entry.routes.flatMap(({ destination }, index) => {
        if (!destination) return [];
        return [target(entry.name, destination, ['routes', index, 'destination'])];
      });
    case 'service-splitter':
      return entry.splits.map((split, index) => target(entry.name, split, ['splits', index]));
    case 'service-resolver':
      return [...(entry.redirect ? [target(entry.name, entry.redirect, ['redirect'])] : []), ...failoverTargets(entry)];
  }
}

function failoverTargets(entry: EntryOfKind<'service-resolver'>): Target[] {
  return Object.entries(entry.failover).flatMap(([subset, failover]) => {
    const path = ['failover', subset];
    const own = failover.service || failover.service_subset ? [target(entry.name, failover, path)] : [];
    return [...own, ...failover.targets.map((one, index) => target(entry.name, one, [...path, 'targets', index]))];
  });
}

function target(
  own: string,
  to: { readonly service?: string | undefined; readonly service_subset?: string | undefined; readonly peer?: string | undefined },
  path: ValuePath,
): Target {
  return { service: to.service ?? own, subset: to.service_subset, path, isElsewhere: Boolean(to.peer) };
}
