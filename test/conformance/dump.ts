import { serviceSpiffeId } from '../../src/mesh/spiffe-id.ts';
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { RESOURCE_TYPES, type ResourceType } from '../../src/cache/resource.ts';
import { buildCallerSans, buildResources } from '../../src/envoy/build-resources.ts';
import type { EnvoyResource } from '../../src/envoy/resource.ts';
import { buildCallersSecret, buildLeafSecret, buildRootsSecret } from '../../src/envoy/secret.ts';
import { decode, encodeUnknown } from '../../src/proto/codec.ts';
import type { Messages } from '../../src/proto/generated/types.ts';
import type { ProxyView } from '../../src/topology/proxy-view.ts';
import { resolveProxyView } from '../../src/topology/resolve-proxy-view.ts';
import { findProxies, type Topology } from '../../src/topology/topology.ts';

x509.cryptoProvider.set(webcrypto);

const KEY = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const VALIDITY = { notBefore: new Date('2020-01-01'), notAfter: new Date('2060-01-01') };

/** Issues certificates of one trust domain that stand up to verification. */
export class ScratchAuthority {
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #root: x509.X509Certificate;

  private constructor(keys: webcrypto.CryptoKeyPair, root: x509.X509Certificate) {
    this.#keys = keys;
    this.#root = root;
  }

  static async create(trustDomain: string): Promise<ScratchAuthority> {
    const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...VALIDITY,
      name: 'CN=scratch',
      keys,
      signingAlgorithm: KEY,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true), uriSan(`spiffe://${trustDomain}`)],
    });
    return new ScratchAuthority(keys, root);
  }

  get rootPem(): string {
    return this.#root.toString('pem');
  }

  async leaf(spiffeId: string): Promise<{ certificateChain: string; privateKey: string }> {
    const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      ...VALIDITY,
      subject: 'CN=leaf',
      issuer: this.#root.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: KEY,
      extensions: [uriSan(spiffeId)],
    });
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { certificateChain: certificate.toString('pem'), privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
  }
}

function uriSan(uri: string): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }]);
}

/** Everything one sidecar gets and asks for, secrets included, as an xDS client would write it down. */
export async function dumpProxy(topology: Topology, id: string, authority: ScratchAuthority): Promise<Record<string, unknown>> {
  const [proxy] = findProxies(topology, id);
  if (!proxy) throw new Error(`no sidecar ${id}`);
  const view = resolveProxyView(topology, proxy);
  const { resources } = buildResources(view, { ipv6: false });
  const referenced = JSON.stringify(resources);
  const secrets = (await secretsOf(view, authority)).filter(({ name }) => referenced.includes(`{"name":"${name}","sds_config"`));
  const all = [...resources, ...secrets];
  const list = (type: ResourceType) => all.filter((resource) => resource.type === type).map((resource) => lowerCamelCase(canonical(resource)));
  return { clusters: list('cluster'), endpoints: list('endpoint'), listeners: list('listener'), routes: list('route'), secrets: list('secret') };
}

async function secretsOf(view: ProxyView, authority: ScratchAuthority): Promise<EnvoyResource[]> {
  const roots = [authority.rootPem];
  return [
    buildRootsSecret(roots),
    buildCallersSecret(roots, buildCallerSans(view) ?? []),
    buildLeafSecret(await authority.leaf(serviceSpiffeId(view.service, view.context))),
  ];
}

/** Through the encoding that goes over the wire. */
function canonical({ type, body }: EnvoyResource): unknown {
  const name = RESOURCE_TYPES[type].slice('type.googleapis.com/'.length) as keyof Messages;
  return decode(name, encodeUnknown(name, body));
}

/** Maps whose keys are not field names. */
const FREE_MAPS = new Set(['json_format', 'policies', 'providers', 'typed_extension_protocol_options', 'typed_per_filter_config']);

function lowerCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lowerCamelCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const renamed = key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
      if (key === 'json_format') return [renamed, item];
      if (!FREE_MAPS.has(key) || typeof item !== 'object' || item === null) return [renamed, lowerCamelCase(item)];
      return [renamed, Object.fromEntries(Object.entries(item).map(([name, entry]) => [name, lowerCamelCase(entry)]))];
    }),
  );
}
