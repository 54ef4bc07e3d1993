import { entrySchema } from './entry.ts';
import { enterpriseOnly, listOf, nameOrWildcard, required, text } from './field.ts';

export const exportedServices = entrySchema('exported-services', 'Services that cluster peers may call. Parsed, without effect.', {
  services: listOf('The services.', {
    name: required(nameOrWildcard('The service, or `*` for all.')),
    namespace: enterpriseOnly('namespace'),
    consumers: listOf('Who may call it.', {
      peer: text('A cluster peer.'),
      partition: text('A partition. A feature of Consul Enterprise.'),
      sameness_group: text('A feature of Consul Enterprise.'),
    }),
  }),
});
