import type { Instance } from '../mesh/instance.ts';
import { findInstances, type Topology } from '../topology/topology.ts';

/** Which registration a node means, or why none can be served. The reason is shown in `adsum proxies`. */
export type Located = { readonly instance: Instance; readonly reason?: undefined } | { readonly instance?: undefined; readonly reason: string };

export function locateProxy(topology: Topology | undefined, { id, nodeName }: { id: string; nodeName?: string | undefined }): Located {
  if (!topology) return { reason: 'the mesh is not loaded yet' };
  const found = findInstances(topology, id, nodeName);
  const [first, second] = found;
  if (!first) {
    const elsewhere = nodeName === undefined ? [] : findInstances(topology, id);
    const hint = elsewhere.length > 0 ? `; it is on ${elsewhere.map(({ node }) => node).join(', ')}` : '';
    return { reason: `no proxy '${id}' is registered${nodeName === undefined ? '' : ` on node '${nodeName}'`}${hint}` };
  }
  if (second) return { reason: `'${id}' is registered on ${found.map(({ node }) => node).join(', ')}: the bootstrap must say which (--node-name)` };
  if (first.kind === 'connect-proxy' && first.proxy) return { instance: first };
  if (first.kind === '') return { reason: `'${id}' is a service, not a proxy; its sidecar would be '${id}-sidecar-proxy'` };
  return { reason: `'${id}' is a ${first.kind}; adsum serves sidecars only` };
}
