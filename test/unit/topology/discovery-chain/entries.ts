import { ConfigEntries } from '../../../../src/mesh/mesh.ts';
import { type ConfigEntryKind, configEntrySchemas } from '../../../../src/mesh/schema/config-entry.ts';

/** Config entries as a test writes them; the schemas fill in what is left out. */
export function entriesOf(...entries: ({ kind: ConfigEntryKind } & Record<string, unknown>)[]): ConfigEntries {
  return new ConfigEntries(entries.map((entry) => configEntrySchemas[entry.kind].parse(entry)));
}

/** proxy-defaults that make every service speak http. */
export const HTTP = { kind: 'proxy-defaults', config: { protocol: 'http' } } as const;
