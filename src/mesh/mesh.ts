import type { Instance } from './instance.ts';
import type { Problem } from './problem.ts';
import type { ConfigEntry, ConfigEntryKind, EntryOfKind } from './schema/config-entry.ts';
import { foldName, type ServiceNames } from './service-names.ts';

/** Everything a source knows of one mesh, immutable. Order of `instances` and of entries is the order of writing. */
export interface Mesh {
  readonly datacenter: string;
  /** `undefined` until the control plane fills in the one it made and keeps in its data dir. */
  readonly trustDomain?: string;
  readonly defaultIntentionPolicy: 'allow' | 'deny';
  readonly instances: readonly Instance[];
  readonly configEntries: ConfigEntries;
  /** Service → its virtual IP, where the input pins one. */
  readonly pinnedVirtualIps: ReadonlyMap<string, string>;
  /** Service → virtual IPs managed outside (Consul's manual VIPs). They come on top of the allocated one. */
  readonly manualVirtualIps: ReadonlyMap<string, readonly string[]>;
  /** The one spelling of each service; all of the mesh has it. */
  readonly serviceNames: ServiceNames;
  /** Defects that did not keep the mesh from loading. */
  readonly problems: readonly Problem[];
}

/** Where config entries are looked up by kind and name. */
export interface EntryLookup {
  get<Kind extends ConfigEntryKind>(kind: Kind, name: string): EntryOfKind<Kind> | undefined;
}

/** The config entries of a mesh by kind and name, whatever its case. Of two with the same kind and name the last counts. */
export class ConfigEntries implements EntryLookup, Iterable<ConfigEntry> {
  readonly #byKind = new Map<ConfigEntryKind, Map<string, ConfigEntry>>();
  readonly #all: readonly ConfigEntry[];

  constructor(entries: Iterable<ConfigEntry> = []) {
    this.#all = [...entries];
    for (const entry of this.#all) {
      const ofKind = this.#byKind.get(entry.kind);
      if (ofKind) ofKind.set(foldName(entry.name), entry);
      else this.#byKind.set(entry.kind, new Map([[foldName(entry.name), entry]]));
    }
  }

  get<Kind extends ConfigEntryKind>(kind: Kind, name: string): EntryOfKind<Kind> | undefined {
    return this.#byKind.get(kind)?.get(foldName(name)) as EntryOfKind<Kind> | undefined;
  }

  /** All entries of a kind, in the order of writing. */
  ofKind<Kind extends ConfigEntryKind>(kind: Kind): EntryOfKind<Kind>[] {
    return [...(this.#byKind.get(kind)?.values() ?? [])] as EntryOfKind<Kind>[];
  }

  /** In the order of writing. */
  *[Symbol.iterator](): Iterator<ConfigEntry> {
    for (const entry of this.#all) if (this.get(entry.kind, entry.name) === entry) yield entry;
  }
}
