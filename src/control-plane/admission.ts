import type { ReadAccess } from '../admin/read-access.ts';
import type { ProxyDirectory } from '../server/proxy-directory.ts';
import type { Topology } from '../topology/topology.ts';

/** A stream that was turned away before anything was sent on it, or when what it had shown was no longer good. */
export interface Refusal {
  readonly id: string;
  /** As the stream said. */
  readonly nodeName: string | undefined;
  readonly peer: string;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What whoever decides on streams tells operators. */
export interface AdmissionStatus {
  /** Streams that are open and not served yet, with what they wait for. */
  held(): readonly { readonly id: string; readonly nodeName: string | undefined; readonly peer: string; readonly reason: string }[];
  /** The last of each proxy, while it is news. */
  refusals(): readonly Refusal[];
}

/** Port: who is served. A stream has nothing until it is admitted, and ends when it no longer may be served. */
export interface Admission extends AdmissionStatus {
  /** The directory that streams are to be connected to; those that are admitted reach `directory`. Called once. */
  admit(directory: ProxyDirectory): ProxyDirectory;
  /** Called before a new topology is served: a proxy that stands for another service now gets nothing of it with the old permission. */
  before(topology: Topology): void;
  /** Called after it is served: proxies that were unknown may be known now. */
  after(): void;
  /** Decides what other hosts may read over the admin port; undefined: everything. */
  readonly readAccess: ReadAccess | undefined;
  close(): void;
}

/** Everybody is served, as whom they say they are. */
export const admitEverybody: Admission = {
  admit: (directory) => directory,
  before() {},
  after() {},
  readAccess: undefined,
  held: () => [],
  refusals: () => [],
  close() {},
};
