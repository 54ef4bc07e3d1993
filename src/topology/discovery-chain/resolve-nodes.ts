import type { Problem } from '../../mesh/problem.ts';
import type { ServiceResolver } from '../../mesh/schema/service-resolver.ts';
import { protocolByEntries } from '../../mesh/service-protocol.ts';
import { serviceSni } from '../names.ts';
import type { ChainRequest, ChainTarget, MeshGatewayMode, ResolverNode } from './chain.ts';
import { circularRedirect, externalConflict, peerUnsupported, protocolMismatch, unknownSubset } from './chain-problem.ts';

/** Consul's, where a resolver sets none. */
const DEFAULT_CONNECT_TIMEOUT_MS = 5000;

/** What a target is, before anything is known about it. */
export interface TargetRef {
  readonly service: string;
  readonly service_subset: string;
  readonly datacenter: string;
}

type Elsewhere = { readonly [Key in keyof TargetRef]?: string | undefined };

export function targetId({ service, service_subset, datacenter }: TargetRef): string {
  return `${service_subset ? `${service_subset}.` : ''}${service}.default.default.${datacenter}`;
}

export function resolverNodeName(target: string): string {
  return `resolver:${target}`;
}

/** The bottom layer of a chain: follows redirects and default subsets to a target, and finds what to fail over to. */
export class ResolverNodes {
  readonly nodes = new Map<string, ResolverNode>();
  readonly targets = new Map<string, ChainTarget>();
  /** The overrides that made a difference; they name the chain's clusters. */
  readonly customizedBy: { mesh_gateway_mode?: MeshGatewayMode; connect_timeout_ms?: number } = {};
  /** That of the first service met; all others must speak the same. */
  protocol: string | undefined;

  readonly #request: ChainRequest;
  readonly #report: (problem: Omit<Problem, 'about'>) => void;

  constructor(request: ChainRequest, report: (problem: Omit<Problem, 'about'>) => void) {
    this.#request = request;
    this.#report = report;
  }

  /** The name of the node that a reference ends at, or `undefined` after a reported problem. */
  resolve(ref: TargetRef): string | undefined {
    const end = this.#follow(ref);
    if (!end) return undefined;
    const name = resolverNodeName(targetId(end.ref));
    if (!this.nodes.has(name)) {
      const node = this.#node(end.ref, end.resolver);
      if (!node) return undefined;
      this.nodes.set(name, node);
      const failover = this.#failover(end.ref, end.resolver);
      if (failover.length > 0) this.nodes.set(name, { ...node, failover });
    }
    return name;
  }

  recordProtocol(service: string): void {
    const protocol = protocolByEntries(this.#request.entries, service);
    this.protocol ??= protocol;
    if (this.protocol !== protocol) this.#report(protocolMismatch(this.#request.service, service, protocol, this.protocol));
  }

  /** Redirects first, then the default subset, until neither applies. */
  #follow(start: TargetRef): { ref: TargetRef; resolver: ServiceResolver | undefined } | undefined {
    const path: string[] = [];
    let ref = start;
    for (;;) {
      const id = targetId(ref);
      if (path.includes(id)) {
        this.#report(circularRedirect([...path, id]));
        return undefined;
      }
      path.push(id);
      this.recordProtocol(ref.service);
      const resolver = this.#request.entries.get('service-resolver', ref.service);
      if (resolver?.redirect?.peer) {
        this.#report(peerUnsupported(ref.service, resolver.redirect.peer, 'error'));
        return undefined;
      }
      const next = nextRef(ref, resolver);
      if (targetId(next) === id) return { ref, resolver };
      ref = next;
    }
  }

  #node(ref: TargetRef, resolver: ServiceResolver | undefined): ResolverNode | undefined {
    if (ref.service_subset && !Object.hasOwn(resolver?.subsets ?? {}, ref.service_subset)) {
      this.#report(unknownSubset(ref.service, ref.service_subset));
      return undefined;
    }
    const connectTimeoutMs = this.#connectTimeoutMs(resolver);
    const target = this.#target(ref, resolver, connectTimeoutMs);
    if (!target) return undefined;
    this.targets.set(target.id, target);
    return {
      type: 'resolver',
      default: isDefaultResolver(resolver),
      target: target.id,
      connect_timeout_ms: connectTimeoutMs,
      ...(resolver?.request_timeout && { request_timeout_ms: resolver.request_timeout }),
      ...(resolver?.load_balancer && { load_balancer: resolver.load_balancer }),
    };
  }

  #connectTimeoutMs(resolver: ServiceResolver | undefined): number {
    const own = resolver?.connect_timeout && resolver.connect_timeout > 0 ? resolver.connect_timeout : DEFAULT_CONNECT_TIMEOUT_MS;
    const override = this.#request.overrides?.connect_timeout_ms;
    if (!override || override <= 0 || override === own) return own;
    this.customizedBy.connect_timeout_ms = override;
    return override;
  }

  #target(ref: TargetRef, resolver: ServiceResolver | undefined, connectTimeoutMs: number): ChainTarget | undefined {
    const { entries, trustDomain } = this.#request;
    const serviceDefaults = entries.get('service-defaults', ref.service);
    const proxyDefaults = entries.get('proxy-defaults', 'global');
    const name = serviceSni(ref.service, ref.service_subset, { datacenter: ref.datacenter, trustDomain });
    const externalSni = serviceDefaults?.external_sni;
    const external = Boolean(externalSni);
    if (external && !this.#mayBeExternal(ref.service, resolver)) return undefined;
    const subset = resolver?.subsets[ref.service_subset];
    return {
      id: targetId(ref),
      ...ref,
      subset: { filter: subset?.filter ?? '', only_passing: subset?.only_passing ?? false },
      mesh_gateway: { mode: external ? '' : this.#meshGatewayMode(serviceDefaults?.mesh_gateway?.mode || proxyDefaults?.mesh_gateway?.mode || '') },
      transparent_proxy: {
        dialed_directly: !external && Boolean(serviceDefaults?.transparent_proxy?.dialed_directly || proxyDefaults?.transparent_proxy?.dialed_directly),
      },
      external,
      sni: externalSni || name,
      name,
      connect_timeout_ms: connectTimeoutMs,
    };
  }

  #meshGatewayMode(own: MeshGatewayMode): MeshGatewayMode {
    const override = this.#request.overrides?.mesh_gateway_mode;
    if (!override || override === own) return own;
    this.customizedBy.mesh_gateway_mode = override;
    return override;
  }

  /** An external service is one thing under one name: there is nothing to choose from. */
  #mayBeExternal(service: string, resolver: ServiceResolver | undefined): boolean {
    const conflicts = [
      resolver?.redirect && 'a redirect',
      Object.keys(resolver?.subsets ?? {}).length > 0 && 'subsets',
      Object.keys(resolver?.failover ?? {}).length > 0 && 'failover',
    ].filter((conflict) => typeof conflict === 'string');
    for (const conflict of conflicts) this.#report(externalConflict(service, conflict));
    return conflicts.length === 0;
  }

  /** IDs of the targets to try after `ref`. Failover of a failover target does not count, its redirects and subsets do. */
  #failover(ref: TargetRef, resolver: ServiceResolver | undefined): string[] {
    return this.#failoverRefs(ref, resolver).flatMap((candidate) => {
      const end = this.#follow(candidate);
      const node = end && this.#node(end.ref, end.resolver);
      return node ? [node.target] : [];
    });
  }

  #failoverRefs(ref: TargetRef, resolver: ServiceResolver | undefined): TargetRef[] {
    const sections = resolver?.failover ?? {};
    const section = Object.hasOwn(sections, ref.service_subset) ? sections[ref.service_subset] : sections['*'];
    if (!section) return [];
    const wanted: (Elsewhere & { readonly peer?: string | undefined })[] =
      section.datacenters.length > 0
        ? section.datacenters.map((datacenter) => ({ service: section.service, service_subset: section.service_subset, datacenter }))
        : section.targets.length > 0
          ? section.targets
          : [{ service: section.service, service_subset: section.service_subset }];
    return wanted
      .filter(({ peer }) => {
        if (peer) this.#report(peerUnsupported(ref.service, peer, 'warning'));
        return !peer;
      })
      .map((target) => rewrite(ref, target))
      .filter((candidate) => targetId(candidate) !== targetId(ref));
  }
}

function nextRef(ref: TargetRef, resolver: ServiceResolver | undefined): TargetRef {
  const redirected = resolver?.redirect ? rewrite(ref, resolver.redirect) : ref;
  if (targetId(redirected) !== targetId(ref)) return redirected;
  return !ref.service_subset && resolver?.default_subset ? { ...ref, service_subset: resolver.default_subset } : ref;
}

/** A subset belongs to its service: naming another service drops it. */
function rewrite(ref: TargetRef, to: Elsewhere): TargetRef {
  const service = to.service || ref.service;
  return {
    service,
    service_subset: to.service_subset || (service === ref.service ? ref.service_subset : ''),
    datacenter: to.datacenter || ref.datacenter,
  };
}

/** The entry is not there, or sets nothing. */
function isDefaultResolver(resolver: ServiceResolver | undefined): boolean {
  if (!resolver) return true;
  const { default_subset, subsets, redirect, failover, connect_timeout, request_timeout, load_balancer, prioritize_by_locality } = resolver;
  const isSet = [default_subset, redirect, connect_timeout, request_timeout, load_balancer, prioritize_by_locality].some(Boolean);
  return !isSet && Object.keys(subsets).length === 0 && Object.keys(failover).length === 0;
}
