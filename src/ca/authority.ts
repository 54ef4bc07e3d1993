import type { Realm } from '../mesh/spiffe-id.ts';
import type { RootPhase } from './ca-state.ts';
import type { KeyedCertificate, Validity } from './certificate.ts';

/** A certificate of one service, with all that Envoy needs to present it. Times in ms since the epoch. */
export interface Leaf extends Validity {
  readonly service: string;
  readonly spiffeId: string;
  /** PEM. */
  readonly certificateChain: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** Hexadecimal. */
  readonly serial: string;
  /** The root that signed it. */
  readonly rootId: string;
}

/** A root as operators see it: no key. */
export interface RootStatus extends Validity {
  readonly id: string;
  readonly phase: RootPhase;
  /** PEM. */
  readonly certificate: string;
  /** When a retiring root is trusted no more. */
  readonly retireAt?: number | undefined;
}

/** `roots`: what is trusted changed. `signer`: leaves are signed by another root from now on. */
export type CaChange = 'roots' | 'signer';

/** Port: who vouches for the services of a mesh. The built-in CA, or Consul's. */
export interface Authority {
  /** Where and under which name it vouches. Undefined before an authority elsewhere has said. A mesh of another realm is not served. */
  readonly realm: Realm | undefined;
  /** Which root signs now. */
  readonly signerId: string;
  /** Whether leaves of this root are trusted now. */
  trusts(rootId: string): boolean;
  /** The identity that leaves of a service carry. @throws CaError `ca-bad-name` */
  spiffeIdOf(service: string): string;
  /** What to trust: PEM certificates, oldest first, so that a switch of the signer alone changes nothing. */
  roots(): readonly string[];
  status(): readonly RootStatus[];
  /** A new certificate for a service. @throws CaError, or the errors of an authority elsewhere */
  issueLeaf(service: string): Promise<Leaf>;
  /**
   * A certificate for adsum's own ports, without a SPIFFE ID; `names` are DNS names and IP addresses. @throws CaError, also where the authority
   * is not adsum's
   */
  issueServerCertificate(names: readonly string[], ttlMs?: number): Promise<KeyedCertificate>;
  /** Starts a rotation of the root. @throws CaError while one is under way, and where the authority is not adsum's */
  rotate(): Promise<RootStatus>;
  /** Every connected proxy has confirmed this bundle: a root that waits for that may sign now. */
  markRootsDelivered(bundle: readonly string[]): void;
  /** @returns stops listening */
  onChange(listener: (change: CaChange) => void): () => void;
  /** Ends its timers. */
  close(): void;
}
