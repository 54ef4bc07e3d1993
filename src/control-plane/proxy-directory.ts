import type { ConnectedNode, ProxyDirectory, Subscriber } from '../server/proxy-directory.ts';
import type { Reconciler } from './reconciler.ts';

/** Serves the streams of the xDS server from the reconciler. */
export function createProxyDirectory(reconciler: Reconciler): ProxyDirectory {
  return {
    connect(node: ConnectedNode, subscriber: Subscriber) {
      const identity = {
        id: node.id,
        ...(node.nodeName === undefined ? {} : { nodeName: node.nodeName }),
        traits: { ipv6: node.ipv6, ...(node.envoyVersion ? { version: node.envoyVersion } : {}) },
      };
      const { proxy, detach } = reconciler.attach(identity, subscriber);
      return { close: detach, answered: (verdict) => reconciler.answered(proxy, verdict, subscriber) };
    },
  };
}
