import { type Problem, placed } from '../../mesh/problem.ts';
import { type ConfigEntry, type ConfigEntryKind, isConfigEntryKind } from '../../mesh/schema/config-entry.ts';
import { parseConfigEntry } from '../../mesh/schema/parse-config-entry.ts';
import { parseTolerantly } from './parse-tolerantly.ts';

interface Known {
  /** The object it was read from: the same one again has the same content. */
  readonly item: unknown;
  readonly source: string;
  readonly createIndex: number;
  readonly entry: ConfigEntry | undefined;
  readonly problems: readonly Problem[];
}

export interface ReadEntries {
  readonly entries: readonly ConfigEntry[];
  /** Consul's index of the write that made it, beside each entry. */
  readonly createIndexes: readonly number[];
  readonly problems: readonly Problem[];
}

/** Turns Consul's config entries into ours. What has not changed is the same object again; what cannot be read keeps its last form. */
export class ConfigEntryReader {
  #known = new Map<string, Known>();

  /** @param raw all entries, of all kinds */
  read(raw: readonly unknown[]): ReadEntries {
    const now = new Map<string, Known>();
    for (const item of raw) {
      const identity = identityOf(item);
      if (!identity) continue;
      const key = `${identity.kind}/${identity.name}`;
      const before = this.#known.get(key);
      if (before && before.item === item) {
        now.set(key, before);
        continue;
      }
      const source = JSON.stringify(item);
      now.set(
        key,
        before?.source === source ? { ...before, item } : { item, source, createIndex: identity.createIndex, ...readEntry(item, key, before?.entry) },
      );
    }
    this.#known = now;
    const known = [...now.values()];
    const readable = known.filter((one): one is Known & { entry: ConfigEntry } => one.entry !== undefined);
    return {
      entries: readable.map(({ entry }) => entry),
      createIndexes: readable.map(({ createIndex }) => createIndex),
      problems: known.flatMap(({ problems }) => problems),
    };
  }
}

function readEntry(item: unknown, key: string, last: ConfigEntry | undefined): Pick<Known, 'entry' | 'problems'> {
  const { value, problems, incomplete } = parseTolerantly(parseConfigEntry, item, key);
  const entry = value ? placed(value, { object: key }) : undefined;
  // An intention read in part might allow more than is meant: without a rule that is understood nobody is let in.
  if (key.startsWith('service-intentions/') && (!entry || incomplete)) return { entry: denyAll(key), problems: problems.map(denied) };
  return { entry: entry ?? last, problems };
}

function denyAll(key: string): ConfigEntry {
  const name = key.slice('service-intentions/'.length);
  const { value } = parseConfigEntry({ kind: 'service-intentions', name: '*', sources: [{ name: '*', action: 'deny' }] });
  if (value?.kind !== 'service-intentions') throw new Error('to deny everything is not understood');
  // The name may be one that adsum would not take; in Consul's catalog there may be a service of that name all the same.
  return placed({ ...value, name }, { object: key });
}

function denied(problem: Problem): Problem {
  return { ...problem, severity: 'error', hint: 'until adsum understands this entry it denies every caller it is about' };
}

function identityOf(item: unknown): { kind: ConfigEntryKind; name: string; createIndex: number } | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  // the mesh entry has no name in Consul's answers: there is one only
  const { Kind, Name = Kind, CreateIndex } = item as Record<string, unknown>;
  return isConfigEntryKind(Kind) && typeof Name === 'string' ? { kind: Kind, name: Name, createIndex: Number(CreateIndex) } : undefined;
}
