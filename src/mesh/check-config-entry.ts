import { checkApiGateway, checkHttpRoute, checkIngressGateway, checkTcpRoute } from './check/gateways.ts';
import { checkServiceIntentions } from './check/intentions.ts';
import { checkJwtProvider } from './check/jwt-provider.ts';
import { checkProxyDefaults } from './check/proxy-defaults.ts';
import { checkServiceResolver } from './check/resolver.ts';
import { checkServiceRouter } from './check/router.ts';
import { checkServiceDefaults } from './check/service-defaults.ts';
import { checkServiceSplitter } from './check/splitter.ts';
import type { ConfigEntry } from './schema/config-entry.ts';
import type { Defect } from './schema/parser.ts';

/** Rules within one entry that a schema cannot say: what Consul would refuse on writing. References to others: `checkReferences`. */
export function checkConfigEntry(entry: ConfigEntry): Defect[] {
  switch (entry.kind) {
    case 'proxy-defaults':
      return checkProxyDefaults(entry);
    case 'service-defaults':
      return checkServiceDefaults(entry);
    case 'service-intentions':
      return checkServiceIntentions(entry);
    case 'service-router':
      return checkServiceRouter(entry);
    case 'service-splitter':
      return checkServiceSplitter(entry);
    case 'service-resolver':
      return checkServiceResolver(entry);
    case 'jwt-provider':
      return checkJwtProvider(entry);
    case 'ingress-gateway':
      return checkIngressGateway(entry);
    case 'api-gateway':
      return checkApiGateway(entry);
    case 'http-route':
      return checkHttpRoute(entry);
    case 'tcp-route':
      return checkTcpRoute(entry);
    default:
      return [];
  }
}
