import { entrySchema } from './entry.ts';
import { flag, listOf, nameOrWildcard, required, tenancy, text } from './field.ts';

export const terminatingGateway = entrySchema('terminating-gateway', 'Services outside the mesh that a terminating gateway stands for.', {
  services: listOf('They are reached through the gateway.', {
    name: required(nameOrWildcard('The service, or `*` for all without a proxy.')),
    ...tenancy,
    ca_file: text('CA certificates to verify the service with; turns TLS on.'),
    cert_file: text('A client certificate for the service.'),
    key_file: text('Its key.'),
    sni: text('The SNI to send to the service.'),
    disable_auto_host_rewrite: flag('Leave the host header as the caller wrote it.'),
  }),
});
