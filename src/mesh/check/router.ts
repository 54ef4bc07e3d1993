import type { Defect } from '../schema/parser.ts';
import type { ServiceRouter } from '../schema/service-router.ts';
import { checkPathAndMethods, checkValueMatch } from './http-match.ts';

const HEADER_WAYS = ['present', 'exact', 'prefix', 'suffix', 'regex'];
const QUERY_WAYS = ['present', 'exact', 'regex'];

/** What Consul refuses of a service-router entry. */
export function checkServiceRouter(entry: ServiceRouter): Defect[] {
  return entry.routes.flatMap(({ match, destination }, index) => {
    const at = ['routes', index];
    const http = match?.http;
    const atHttp = [...at, 'match', 'http'];
    const rewritesNothing = destination?.prefix_rewrite && !http?.path_prefix && !http?.path_exact;
    return [
      ...(http ? checkPathAndMethods(http, atHttp) : []),
      ...(http?.header ?? []).flatMap((header, part) => checkValueMatch(header, HEADER_WAYS, [...atHttp, 'header', part])),
      ...(http?.query_param ?? []).flatMap((query, part) => checkValueMatch(query, QUERY_WAYS, [...atHttp, 'query_param', part])),
      ...(rewritesNothing
        ? [
            {
              code: 'missing-field',
              message: 'prefix_rewrite needs a path to rewrite',
              path: [...at, 'destination', 'prefix_rewrite'],
              hint: 'add path_prefix or path_exact to the match',
            },
          ]
        : []),
    ];
  });
}
