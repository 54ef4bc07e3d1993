import { type CachedResource, RESOURCE_TYPES } from '../cache/resource.ts';
import { encodeDeltaResource, encodeDeltaResponse, encodeSotwResource, encodeSotwResponse } from '../proto/services.ts';
import type { Variant, XdsResponse } from '../xds/messages.ts';

/** Resources as the wire wants them, encoded once for all the streams of a server and dropped with the resource. */
export class EncodedResources {
  readonly #encoded = { delta: new WeakMap<CachedResource, Uint8Array>(), sotw: new WeakMap<CachedResource, Uint8Array>() };

  encode(variant: Variant, { type, version, nonce, resources, removed }: XdsResponse): Buffer {
    const typeUrl = RESOURCE_TYPES[type];
    const fields = { typeUrl, version, nonce, resources: resources.map((resource) => this.#one(variant, typeUrl, resource)) };
    return variant === 'delta' ? encodeDeltaResponse({ ...fields, removed }) : encodeSotwResponse(fields);
  }

  #one(variant: Variant, typeUrl: string, resource: CachedResource): Uint8Array {
    const known = this.#encoded[variant].get(resource);
    if (known) return known;
    const { name, version, bytes } = resource;
    const encoded = variant === 'delta' ? encodeDeltaResource(typeUrl, name, version, bytes) : encodeSotwResource(typeUrl, bytes);
    this.#encoded[variant].set(resource, encoded);
    return encoded;
  }
}
