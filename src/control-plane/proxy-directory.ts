import type { ConnectedNode, ProxyDirectory, Subscriber } from '../server/proxy-directory.ts';
import type { Reconciler } from './reconciler.ts';

/** The metadata key that `adsum bootstrap` sets: the host has an IPv6 loopback, so listeners may bind `::1` and `::`. */
const IPV6_METADATA = 'ipv6';

/** Serves the streams of the xDS server from the reconciler. */
export function createProxyDirectory(reconciler: Reconciler): ProxyDirectory {
  return {
    connect(node: ConnectedNode, subscriber: Subscriber) {
      const identity = {
        id: node.id,
        ...(node.nodeName === undefined ? {} : { nodeName: node.nodeName }),
        traits: { ipv6: node.metadata[IPV6_METADATA] === true, ...(node.envoyVersion ? { version: node.envoyVersion } : {}) },
      };
      const { detach } = reconciler.attach(identity, subscriber);
      return { close: detach };
    },
  };
}
