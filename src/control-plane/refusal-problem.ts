import { shapedBy } from '../envoy/shaped-by.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { Problem, ProblemSubject } from '../mesh/problem.ts';
import type { ProxyView } from '../topology/proxy-view.ts';
import type { RefusedResource } from './refused-resources.ts';

/** What operators are told of a resource that Envoy does not take: Envoy's words, what the resource is made from, and what is in force instead. */
export function refusalProblem(
  proxy: { readonly view: ProxyView; readonly node: string; readonly id: string },
  { type, name, error, closed }: RefusedResource,
  mesh: Pick<Mesh, 'configEntries' | 'instances'>,
): Problem {
  const { view, node, id } = proxy;
  const [about, ...others] = shapedBy(view, { node, id }, { type, name }, { mesh, error });
  const also = others.length > 0 ? `; it is made from ${others.map(nameOf).join(', ')} as well` : '';
  const instead = closed ? 'nobody may call the service' : 'what it had before stays in force';
  return {
    code: 'envoy-refused',
    severity: 'error',
    message: `the Envoy of ${id} does not take ${type} ${name}, so ${instead}: ${error}`,
    ...(about && { about }),
    hint: `it is tried again when it changes${also}`,
    proxies: [id],
  };
}

function nameOf(subject: ProblemSubject): string {
  return 'id' in subject ? `the registration of ${subject.id} on ${subject.node}` : `${subject.kind}/${subject.name}`;
}
