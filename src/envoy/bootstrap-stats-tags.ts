import type { envoy_config_metrics_v3_TagSpecifier as TagSpecifier } from '../proto/generated/types.ts';

/** What the proxy itself is, as tags on every metric. */
export interface SourceTags {
  readonly service: string;
  readonly namespace: string;
  readonly partition: string;
  readonly datacenter: string;
}

/**
 * The tags Consul's bootstrap takes out of metric names, under the same names, so that dashboards made for Consul keep working.
 * Cluster names are `[HASH~][SUBSET.]SERVICE.NAMESPACE.[PARTITION.]DATACENTER.ROUTING.TRUST_DOMAIN.consul`.
 */
export function buildStatsTags(source: SourceTags): TagSpecifier[] {
  return [
    ...clusterTags('consul.destination', '(?:passthrough~)?', DESTINATION_PARTS),
    ...upstreamTags(),
    // Names from before Consul 1.9, which its bootstrap still writes.
    ...clusterTags('consul', '', LEGACY_PARTS),
    { tag_name: 'local_cluster', fixed_value: source.service },
    { tag_name: 'consul.source.service', fixed_value: source.service },
    { tag_name: 'consul.source.namespace', fixed_value: source.namespace },
    { tag_name: 'consul.source.partition', fixed_value: source.partition },
    { tag_name: 'consul.source.datacenter', fixed_value: source.datacenter },
  ];
}

const WORD = '[^.]+';

/** The parts of a cluster name in their order: how each looks when skipped and when it is the tag's value. */
const CLUSTER_NAME = [
  { part: 'custom_hash', skip: `(?:${WORD}~)?`, take: `(?:(${WORD})~)?` },
  { part: 'service_subset', skip: `(?:${WORD}\\.)?`, take: `(?:(${WORD})\\.)?` },
  { part: 'service', skip: `${WORD}\\.`, take: `(${WORD})\\.` },
  { part: 'namespace', skip: `${WORD}\\.`, take: `(${WORD})\\.` },
  { part: 'partition', skip: `(?:${WORD}\\.)?`, take: `(?:(${WORD})\\.)?` },
  { part: 'datacenter', skip: `${WORD}\\.`, take: `(${WORD})\\.` },
  { part: 'routing_type', skip: `${WORD}\\.`, take: `(${WORD})\\.` },
  { part: 'trust_domain', skip: `${WORD}\\.`, take: `(${WORD})\\.` },
] as const;

type ClusterPart = (typeof CLUSTER_NAME)[number]['part'];
type TagPart = ClusterPart | 'peer' | 'target' | 'full_target';

const DESTINATION_PARTS: readonly TagPart[] = [
  'custom_hash',
  'service_subset',
  'service',
  'namespace',
  'partition',
  'datacenter',
  'peer',
  'routing_type',
  'trust_domain',
  'target',
  'full_target',
];
const LEGACY_PARTS: readonly TagPart[] = DESTINATION_PARTS.filter((part) => part !== 'partition' && part !== 'peer');

function clusterTags(prefix: string, start: string, parts: readonly TagPart[]): TagSpecifier[] {
  return parts.map((part) => ({ tag_name: `${prefix}.${part}`, regex: clusterRegex(start, part) }));
}

function clusterRegex(start: string, part: TagPart): string {
  // A peered cluster is `[SUBSET?]SERVICE.NAMESPACE.PEER.external.TRUST_DOMAIN.consul`.
  if (part === 'peer') return `^cluster\\.(${WORD}\\.(?:${WORD}\\.)?(${WORD})\\.external\\.${WORD}\\.consul\\.)`;
  if (part === 'target') return `^cluster\\.${start}((${upTo('datacenter')})\\.${WORD}\\.${WORD}\\.consul\\.)`;
  if (part === 'full_target') return `^cluster\\.${start}((${upTo('trust_domain')})\\.consul\\.)`;
  // Only names routed inside the mesh have a partition and a datacenter at these places.
  const internal = part === 'partition' || part === 'datacenter';
  const name = CLUSTER_NAME.map((piece) => {
    if (piece.part === part) return piece.take;
    return internal && piece.part === 'routing_type' ? 'internal[^.]*\\.' : piece.skip;
  });
  return `^cluster\\.${start}(${name.join('')}consul\\.)`;
}

/** The name up to and with `last`, without the dot behind it. */
function upTo(last: ClusterPart): string {
  const end = CLUSTER_NAME.findIndex((piece) => piece.part === last);
  const pieces = CLUSTER_NAME.slice(0, end + 1).map((piece) => piece.skip);
  return pieces.join('').replace(/\\\.$/, '');
}

/** Listener stat prefixes are `upstream.SERVICE[.NAMESPACE][.PARTITION].DATACENTER.` and `upstream_peered.SERVICE[.NAMESPACE].PEER.` */
function upstreamTags(): TagSpecifier[] {
  const optional = `(?:\\.${WORD})?`;
  const either = '^(?:tcp|http)\\.upstream(?:_peered)?\\.';
  const local = '^(?:tcp|http)\\.upstream\\.';
  const peered = '^(?:tcp|http)\\.upstream_peered\\.';
  return [
    { tag_name: 'consul.upstream.service', regex: `${either}((${WORD})${optional}${optional}\\.${WORD}\\.)` },
    { tag_name: 'consul.upstream.datacenter', regex: `${local}(${WORD}${optional}${optional}\\.(${WORD})\\.)` },
    { tag_name: 'consul.upstream.peer', regex: `${peered}(${WORD}${optional}\\.(${WORD})\\.)` },
    { tag_name: 'consul.upstream.namespace', regex: `${either}(${WORD}(?:\\.(${WORD}))?${optional}\\.${WORD}\\.)` },
    { tag_name: 'consul.upstream.partition', regex: `${local}(${WORD}${optional}(?:\\.(${WORD}))?\\.${WORD}\\.)` },
  ];
}
