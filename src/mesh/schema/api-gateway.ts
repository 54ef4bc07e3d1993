import { entrySchema, resourceReference } from './entry.ts';
import { listOf, name, oneOf, port, required, section, text, textList } from './field.ts';
import { TLS_VERSIONS } from './gateway-tls.ts';
import { jwtRequirement } from './jwt-requirement.ts';

const policy = (description: string) => section(description, { jwt: jwtRequirement('Requests need such a token.') });

export const apiGateway = entrySchema('api-gateway', 'The listeners of an API gateway; http-route and tcp-route entries bind to them.', {
  listeners: listOf('The listeners.', {
    name: name('Its name, for routes.'),
    hostname: text('Only for this host.', { default: 'every host' }),
    port: required(port('Its port.')),
    protocol: required(oneOf(['http', 'tcp'], 'What it speaks.')),
    tls: section('TLS of the listener.', {
      certificates: listOf('Certificates, as inline-certificate or file-system-certificate entries.', resourceReference),
      min_version: oneOf(TLS_VERSIONS, 'Lowest version.'),
      max_version: oneOf(TLS_VERSIONS, 'Highest version.'),
      cipher_suites: textList('Cipher suites for TLS 1.2 and lower.'),
    }),
    default: policy('For routes that say nothing themselves.'),
    override: policy('For every route, whatever it says.'),
  }),
});
