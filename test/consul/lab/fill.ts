import type { ConsulAgent } from './consul-agent.ts';

/** Services `s0` … with a sidecar each, spread over their own nodes; through transactions, which are the fastest way in. */
export async function fill(consul: ConsulAgent, options: { services: number; instances: number }): Promise<void> {
  const { services, instances } = options;
  const operations: object[] = [];
  for (let instance = 0; instance < instances; instance += 1) {
    for (let service = 0; service < services; service += 1) {
      const at = instance * services + service;
      const [name, node] = [`s${service}`, `n${at}`];
      const address = `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`;
      operations.push({ Node: { Verb: 'set', Node: { Node: node, Address: address } } });
      operations.push({ Service: { Verb: 'set', Node: node, Service: { ID: name, Service: name, Port: 8_080 } } });
      const proxy = {
        DestinationServiceName: name,
        DestinationServiceID: name,
        LocalServiceAddress: '127.0.0.1',
        LocalServicePort: 8_080,
        Mode: 'transparent',
      };
      operations.push({
        Service: {
          Verb: 'set',
          Node: node,
          Service: { Kind: 'connect-proxy', ID: `${name}-sidecar-proxy`, Service: `${name}-sidecar-proxy`, Port: 21_000, Proxy: proxy },
        },
      });
      operations.push({ Check: { Verb: 'set', Check: { Node: node, CheckID: `c-${name}`, Name: 'http', ServiceID: name, Status: 'passing' } } });
    }
  }
  const mostPerTransaction = 60;
  for (let from = 0; from < operations.length; from += mostPerTransaction) await consul.put('/v1/txn', operations.slice(from, from + mostPerTransaction));
  // a chain of callers: everybody is called by two
  for (let service = 0; service < services; service += 1) {
    const sources = [1, 2].map((step) => ({ Name: `s${(service + step) % services}`, Action: 'allow' }));
    await consul.put('/v1/config', { Kind: 'service-intentions', Name: `s${service}`, Sources: sources });
  }
}
