import type { EntryOfKind } from '../schema/config-entry.ts';
import type { Defect } from '../schema/parser.ts';
import { checkRegex } from './http-match.ts';

/** What Consul refuses of an ingress-gateway entry. */
export function checkIngressGateway({ listeners }: EntryOfKind<'ingress-gateway'>): Defect[] {
  return listeners.flatMap((listener, index) => {
    const at = ['listeners', index];
    const defects: Defect[] = [];
    if (listeners.findIndex(({ port }) => port === listener.port) !== index) {
      defects.push({ code: 'port-conflict', message: `two listeners on port ${listener.port}`, path: [...at, 'port'], hint: 'choose another port' });
    }
    if ((listener.protocol ?? 'tcp') === 'tcp') {
      if (listener.services.length > 1) {
        defects.push({
          code: 'invalid-value',
          message: 'a tcp listener leads to one service',
          path: [...at, 'services', 1],
          hint: 'give it a listener of its own',
        });
      }
      for (const [part, service] of listener.services.entries()) {
        if (service.name === '*' || service.hosts.length > 0) {
          defects.push({
            code: 'invalid-value',
            message: 'a tcp listener knows neither hosts nor "*"',
            path: [...at, 'services', part],
            hint: 'set protocol to http',
          });
        }
      }
    }
    return defects;
  });
}

/** What Consul refuses of an api-gateway entry. */
export function checkApiGateway({ listeners }: EntryOfKind<'api-gateway'>): Defect[] {
  return listeners.flatMap((listener, index) =>
    listener.name && listeners.findIndex(({ name }) => name === listener.name) !== index
      ? [{ code: 'duplicate-value', message: `two listeners are called "${listener.name}"`, path: ['listeners', index, 'name'], hint: 'choose another name' }]
      : [],
  );
}

/** What Consul refuses of a tcp-route entry. */
export function checkTcpRoute({ services }: EntryOfKind<'tcp-route'>): Defect[] {
  return services.length > 1
    ? [{ code: 'invalid-value', message: 'a tcp-route leads to one service', path: ['services', 1], hint: 'make it a route of its own' }]
    : [];
}

/** What Envoy would refuse of an http-route. */
export function checkHttpRoute({ rules }: EntryOfKind<'http-route'>): Defect[] {
  return rules.flatMap(({ matches }, rule) =>
    matches.flatMap(({ headers, path, query }, match) => {
      const at = ['rules', rule, 'matches', match];
      const pattern = (value: { match: string; value?: string | undefined } | undefined, where: (string | number)[]) =>
        value?.match === 'regex' ? checkRegex(value.value, [...at, ...where, 'value']) : [];
      return [
        ...pattern(path, ['path']),
        ...headers.flatMap((header, index) => pattern(header, ['headers', index])),
        ...query.flatMap((parameter, index) => pattern(parameter, ['query', index])),
      ];
    }),
  );
}
