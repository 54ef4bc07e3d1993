import type { z } from 'zod';
import { entrySchema } from './entry.ts';
import { decimal, listOf, name, required, tenancy, text } from './field.ts';
import { httpHeaderModifiers } from './http-header-modifiers.ts';

export const serviceSplitter = entrySchema('service-splitter', 'Shares the requests to a service among services or subsets. For HTTP services.', {
  splits: listOf('The weights add up to 100.', {
    weight: required(decimal('Share of the requests, in steps of 0.01.', { unit: 'percent', max: 100 })),
    service: name('The service, if not this one.'),
    service_subset: text("A subset of the service's resolver."),
    ...tenancy,
    request_headers: httpHeaderModifiers('Changes to the request.'),
    response_headers: httpHeaderModifiers('Changes to the response.'),
  }),
});

export type ServiceSplitter = z.output<typeof serviceSplitter>;
