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

/** The config entries of a mesh by kind and name, whatever its case. */
export class ConfigEntries implements Iterable<ConfigEntry> {
  readonly #entries: ReadonlyMap<string, ConfigEntry>;

  constructor(entries: Iterable<ConfigEntry> = []) {
    this.#entries = new Map([...entries].map((entry) => [keyOf(entry.kind, entry.name), entry]));
  }

  get<Kind extends ConfigEntryKind>(kind: Kind, name: string): EntryOfKind<Kind> | undefined {
    return this.#entries.get(keyOf(kind, name)) as EntryOfKind<Kind> | undefined;
  }

  /** All entries of a kind, in the order of writing. */
  ofKind<Kind extends ConfigEntryKind>(kind: Kind): EntryOfKind<Kind>[] {
    return [...this.#entries.values()].filter((entry): entry is EntryOfKind<Kind> => entry.kind === kind);
  }

  [Symbol.iterator](): Iterator<ConfigEntry> {
    return this.#entries.values();
  }
}

function keyOf(kind: string, name: string): string {
  return `${kind}/${foldName(name)}`;
}
