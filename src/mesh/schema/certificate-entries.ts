import { entrySchema } from './entry.ts';
import { required, text } from './field.ts';

export const inlineCertificate = entrySchema('inline-certificate', 'A certificate for API gateways, in the entry itself.', {
  certificate: required(text('The certificate chain, PEM.')),
  private_key: required(text('Its key, PEM.')),
});

export const fileSystemCertificate = entrySchema('file-system-certificate', 'A certificate for API gateways, in files on the machine of the gateway.', {
  certificate: required(text('Path of the certificate chain, PEM.')),
  private_key: required(text('Path of its key, PEM.')),
});
