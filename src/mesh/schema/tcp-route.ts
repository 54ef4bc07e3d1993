import { entrySchema, resourceReference } from './entry.ts';
import { listOf, name, required, tenancy } from './field.ts';
import { limits } from './proxy-settings.ts';

export const tcpRoute = entrySchema('tcp-route', 'Routes of API gateways for TCP.', {
  parents: listOf('The gateways, and their listeners, it binds to.', resourceReference),
  services: listOf('Where the connections go: one service.', { name: required(name('The service.')), limits, ...tenancy }),
});
