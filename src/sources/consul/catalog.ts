import { z } from 'zod';

/**
 * What `/v1/internal/ui/nodes` says of nodes, services and checks, as far as it is needed. Text that Consul leaves out and empty
 * text are one.
 */
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const textMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});
const textList = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);
const number = z
  .number()
  .int()
  .nonnegative()
  .nullish()
  .transform((value) => value ?? 0);
const port = number.refine((value) => value <= 65_535);

const catalogService = z.object({
  Kind: text,
  ID: z.string(),
  Service: z.string(),
  Tags: textList,
  Address: text,
  SocketPath: text,
  TaggedAddresses: z
    .record(z.string(), z.object({ Address: text, Port: port }))
    .nullish()
    .transform((value) => value ?? {}),
  Meta: textMap,
  Port: port,
  Weights: z.object({ Passing: number, Warning: number }).nullish(),
  Proxy: z.unknown().optional(),
  Connect: z.object({ Native: z.boolean().nullish() }).nullish(),
  Locality: z.object({ Region: text, Zone: text }).nullish(),
  PeerName: text,
  CreateIndex: number,
  ModifyIndex: number,
});

export type CatalogService = z.output<typeof catalogService>;

/** Parsed one by one and only when it is new: see `CatalogReader`. */
export function parseCatalogService(input: unknown): CatalogService | undefined {
  const parsed = catalogService.safeParse(input);
  return parsed.success ? parsed.data : undefined;
}

/** A node with its services and checks as they came. */
export interface RawNode {
  readonly Node: string;
  readonly Address?: string | null;
  readonly Meta?: Readonly<Record<string, string>> | null;
  readonly TaggedAddresses?: Readonly<Record<string, string>> | null;
  readonly PeerName?: string | null;
  readonly Services?: readonly unknown[] | null;
  readonly Checks?: readonly RawCheck[] | null;
}

/** A check of a node, or of one service on it. */
export interface RawCheck {
  readonly Node: string;
  readonly CheckID: string;
  /** Empty or absent: the check counts for all services of the node. */
  readonly ServiceID?: string | null;
  readonly Status: string;
}

const rawNodes = z.array(
  z.looseObject({
    Node: z.string(),
    Address: z.string().nullish(),
    Meta: z.record(z.string(), z.string()).nullish(),
    TaggedAddresses: z.record(z.string(), z.string()).nullish(),
    PeerName: z.string().nullish(),
    Services: z.array(z.unknown()).nullish(),
    Checks: z.array(z.unknown()).nullish(),
  }),
);

const rawCheck = z.looseObject({ Node: z.string(), CheckID: z.string(), ServiceID: z.string().nullish(), Status: z.string() });
const rawChecks = z.array(rawCheck);

/** Nodes of this datacenter; what peers export stands in the same answer. */
export function parseNodes(input: unknown): readonly RawNode[] | undefined {
  const parsed = rawNodes.safeParse(input);
  return parsed.success ? (parsed.data as readonly RawNode[]).filter(({ PeerName }) => !PeerName) : undefined;
}

export function parseChecks(input: unknown): readonly RawCheck[] | undefined {
  const parsed = rawChecks.safeParse(input);
  return parsed.success ? parsed.data : undefined;
}

/** The checks that are not passing: all that has to be known of health. What cannot be read says nothing. */
export function failingChecks(nodes: readonly RawNode[]): readonly RawCheck[] {
  return nodes.flatMap(({ Checks }) => (Checks ?? []).filter((check) => rawCheck.safeParse(check).success && check.Status !== 'passing'));
}
