import {
  type AdminApi,
  AdminError,
  type CaStatus,
  type IntentionVerdict,
  type MeshSummary,
  type ProxyDetails,
  type RedirectSettings,
  type TokenStatus,
} from '../admin/admin-api.ts';
import type { Authority } from '../ca/authority.ts';
import { CaError } from '../ca/ca-error.ts';
import { type Instance, instanceKey, reachableAddress } from '../mesh/instance.ts';
import { locateProblem } from '../mesh/locate-problem.ts';
import type { Problem } from '../mesh/problem.ts';
import { protocolByEntries } from '../mesh/service-protocol.ts';
import type { XdsServer } from '../server/xds-server.ts';
import type { MeshTopology } from '../topology/build-topology.ts';
import { resolveRedirectSettings } from '../topology/redirect-settings.ts';
import { findInstances } from '../topology/topology.ts';
import { virtualAddressesOf } from '../topology/virtual-addresses.ts';
import type { AdmissionStatus } from './admission.ts';
import { decodeResources } from './decoded-resources.ts';
import type { MeshLoader } from './mesh-loader.ts';
import { proxyStatuses } from './proxy-statuses.ts';
import type { Reconciler } from './reconciler.ts';
import { refusalProblem } from './refusal-problem.ts';
import { buildValidation } from './secrets.ts';
import type { ServedProxy } from './served-proxy.ts';
import type { StandingProblems } from './standing-problems.ts';
import type { StoredToken, TokenStore } from './token-store.ts';

/** What operators look at, put together from the parts that know. */
export function createAdminApi(parts: {
  reconciler: Reconciler;
  loader: MeshLoader;
  ca: Authority;
  xds: XdsServer;
  admissions: readonly AdmissionStatus[];
  standing: StandingProblems;
  tokens: TokenStore | undefined;
  /** An orderly end has begun: nobody new should come. */
  ending: () => boolean;
}): AdminApi {
  const { reconciler, loader, ca, xds, admissions, standing } = parts;
  const tokens = (): TokenStore => {
    if (!parts.tokens) throw new AdminError(409, "the tokens of this mesh are Consul's: make them there (consul acl token create)");
    return parts.tokens;
  };
  const topology = (): MeshTopology => {
    if (!reconciler.topology) throw new AdminError(503, 'the mesh is not loaded yet');
    return reconciler.topology;
  };
  const registration = (id: string, node?: string): Instance | undefined => {
    const found = findInstances(topology(), id, node).filter(({ kind }) => kind !== '');
    if (found.length > 1) throw new AdminError(409, `'${id}' is registered on ${found.map((one) => one.node).join(', ')}: say which with ?node=`);
    return found[0];
  };
  const statuses = () => proxyStatuses(reconciler.topology, reconciler.served(), xds.streams(), admissions);
  const caStatus = (): CaStatus => ({
    trust_domain: ca.realm?.trustDomain ?? '',
    roots: ca.status().map((root) => ({
      id: root.id,
      signing: root.phase === 'signing',
      not_after: new Date(root.notAfter).toISOString(),
      pem: root.certificate,
    })),
  });

  return {
    readiness() {
      if (parts.ending()) return { ready: false, mesh: loader.stale === undefined ? 'fresh' : 'stale', reason: 'adsum is shutting down' };
      if (!loader.served) return { ready: false, mesh: 'none', reason: loader.stale ?? 'no mesh has been loaded yet' };
      return loader.stale === undefined ? { ready: true, mesh: 'fresh' } : { ready: true, mesh: 'stale', reason: loader.stale };
    },
    proxies: statuses,
    proxy(id, node): ProxyDetails | undefined {
      const instance = registration(id, node);
      const status = statuses().find((one) => one.id === id && (node === undefined || one.node === undefined || one.node === node));
      if (!status) return undefined;
      const { datacenter } = topology();
      return { ...status, datacenter, ...(instance ? { redirect: redirectOf(topology(), instance) } : {}) };
    },
    proxyConfig(id, node, { wanted = false } = {}) {
      const instance = registration(id, node);
      const held = [...reconciler.served()].find((one) =>
        instance ? isRegisteredAs(one, instance) : one.id === id && (node === undefined || one.nodeName === node),
      );
      if (held?.snapshot && !wanted) return decodeResources(held.snapshot, held.identity?.leaves.keys() ?? []);
      const configuration = instance && reconciler.configurationOf(instance, held?.traits ?? { ipv6: false });
      if (!configuration) return undefined;
      return { ...decodeResources(configuration.resources, []), secrets: buildValidation(configuration.view, ca.roots()).map(({ body }) => body) };
    },
    problems: () => [...standing.list(), ...loader.problems, ...[...reconciler.served()].flatMap((proxy) => problemsOf(proxy, reconciler.topology))],
    mesh: () => summarise(topology()),
    checkIntention(askedSource, askedDestination) {
      const { serviceNames } = topology().mesh;
      const [source, destination] = [serviceNames.spellingOf(askedSource), serviceNames.spellingOf(askedDestination)];
      const { allowed, by } = topology().intentions.decide(source, destination);
      return {
        source,
        destination,
        verdict: allowed,
        ...(by ? { intention: `${by.source} => ${by.destination}`, ...placeOfIntention(topology(), by.destination) } : {}),
      };
    },
    caRoots: caStatus,
    async rotateCa() {
      try {
        await ca.rotate();
      } catch (error) {
        throw new AdminError(409, error instanceof Error ? error.message : String(error));
      }
      return caStatus();
    },
    async issueLeaf(service) {
      const leaf = await ca.issueLeaf(reconciler.topology?.mesh.serviceNames.spellingOf(service) ?? service);
      return {
        certificate_chain: leaf.certificateChain,
        private_key: leaf.privateKey,
        roots: ca.roots().join(''),
        spiffe_id: leaf.spiffeId,
        not_after: new Date(leaf.notAfter).toISOString(),
      };
    },
    async issueServerCertificate(names, ttlMs) {
      const made = await ca.issueServerCertificate(names, ttlMs).catch((error: unknown) => {
        throw error instanceof CaError ? new AdminError(409, error.message) : error;
      });
      return { certificate: made.certificate, private_key: made.privateKey, roots: ca.roots().join(''), not_after: new Date(made.notAfter).toISOString() };
    },
    tokens: () => tokens().list().map(tokenStatus),
    createToken(grant) {
      const { token, stored } = tokens().create(grant);
      const known = grant.service === undefined || reconciler.topology?.isCallable(grant.service);
      return { ...tokenStatus(stored), token, ...(known === false ? { unknown_service: true } : {}) };
    },
    revokeToken: (id) => tokens().revoke(id),
  };
}

function isRegisteredAs({ instance }: ServedProxy, registration: Instance): boolean {
  return instance !== undefined && instanceKey(instance) === instanceKey(registration);
}

/** What is wrong with a proxy's configuration, with places as they are now. What names no object is about the proxy itself. */
function problemsOf({ id, instance, configuration, failure, refused }: ServedProxy, topology: MeshTopology | undefined): Problem[] {
  const about = instance && { node: instance.node, id: instance.id };
  const refusals =
    topology && about && configuration ? refused.list().map((one) => refusalProblem({ ...about, view: configuration.view }, one, topology.mesh)) : [];
  return [...(configuration?.problems ?? []), ...(failure ? [failure] : []), ...refusals].map((problem) => {
    const own = { ...(problem.place || !about ? {} : { about }), ...problem, proxies: [id] };
    return topology ? locateProblem(own, topology.mesh) : own;
  });
}

function placeOfIntention({ mesh }: MeshTopology, destination: string): Pick<IntentionVerdict, 'place'> {
  const place = mesh.configEntries.get('service-intentions', destination)?.place;
  return place ? { place } : {};
}

function redirectOf(topology: MeshTopology, proxy: Instance): RedirectSettings {
  const { bindPort, outboundPort, excludeInboundPorts } = resolveRedirectSettings(topology, proxy);
  return { bind_port: bindPort, outbound_port: outboundPort, exclude_inbound_ports: excludeInboundPorts };
}

function tokenStatus({ id, service, node, operator, createdAt, expiresAt }: StoredToken): TokenStatus {
  return {
    id,
    ...(service === undefined ? {} : { service }),
    ...(node === undefined ? {} : { node }),
    ...(operator === undefined ? {} : { operator }),
    created_at: new Date(createdAt).toISOString(),
    ...(expiresAt === undefined ? {} : { expires_at: new Date(expiresAt).toISOString() }),
  };
}

function summarise(topology: MeshTopology): MeshSummary {
  return {
    datacenter: topology.mesh.datacenter,
    trust_domain: topology.trustDomain,
    default_intention_policy: topology.mesh.defaultIntentionPolicy,
    services: [...topology.callableServices].sort().map((name) => ({
      name,
      protocol: protocolByEntries(topology.mesh.configEntries, name),
      virtual_ips: virtualAddressesOf(topology, name),
      instances: topology.instancesOf(name).map((instance) => ({
        id: instance.id,
        node: instance.node,
        address: reachableAddress(instance),
        port: instance.port,
        health: instance.health,
      })),
    })),
  };
}
