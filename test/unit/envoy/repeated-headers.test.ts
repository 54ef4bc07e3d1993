import { describe, expect, test } from 'vitest';
import { regexFault } from '../../../src/mesh/check/regex.ts';
import { simulate } from '../../simulation/simulate.ts';

/** A header that is sent more than once reaches Envoy's RBAC as one text with commas in between. */
function outcome(rule: string, value: string): string {
  const mesh = simulate(`
{ nodes: [
    { name: a, address: 10.0.0.1, services: [{ name: web, port: 80, connect: { sidecar_service: { proxy: { mode: transparent } } } }] },
    { name: b, address: 10.0.0.2, services: [{ name: api, port: 80, connect: { sidecar_service: { proxy: { mode: transparent } } } }] } ],
  config_entries: [
    { kind: service-defaults, name: api, protocol: http },
    { kind: service-intentions, name: api, sources: [{ name: web, permissions: [${rule}, { action: allow, http: { path_prefix: / } }] }] } ] }`);
  return mesh.knock({ as: 'web', to: 'api', headers: { 'x-block': value } }).outcome;
}

const deny = (how: string) => `{ action: deny, http: { path_prefix: /, header: [{ name: x-block, ${how} }] } }`;

describe('a denial holds for each of its values', () => {
  test.each([
    ['exact: yes', ['yes', 'no,yes', 'yes,no', 'a, yes ,b', 'yes,yes'], ['no', 'yess', 'no,yess', 'Yes']],
    ['exact: yes, ignore_case: true', ['YES', 'no,Yes'], ['no']],
    ['prefix: ye', ['yes', 'no,yes', 'no, yeah'], ['no', 'no,aye']],
    ['suffix: es', ['yes', 'yes,no', 'no,yes'], ['no', 'yesno']],
    ['contains: es', ['yes', 'no,yes,no'], ['no']],
    ['regex: "^y[a-z]+$"', ['yes', 'no,yes', 'yes,no'], ['no', 'y1']],
    ['regex: "y|z"', ['y', 'a,z', 'z,a'], ['a', 'ay']],
  ])('%s', (how, denied, let_in) => {
    for (const value of denied) expect(outcome(deny(how), value), value).toBe('denied');
    for (const value of let_in) expect(outcome(deny(how), value), value).toBe('reaches');
  });

  test('and what allows all but a value allows no list with it', () => {
    const rule =
      '{ action: allow, http: { path_prefix: /, header: [{ name: x-block, exact: guest, invert: true }] } }, { action: deny, http: { path_prefix: / } }';
    expect(outcome(rule, 'admin')).toBe('reaches');
    for (const value of ['guest', 'guest,other', 'other,guest']) expect(outcome(rule, value), value).toBe('denied');
  });
});

test('the expressions are such as Envoy takes', () => {
  for (const value of ['yes', 'a.b(c)', '日本']) expect(regexFault(`(?i)(?:.*,)?[ \\t]*${value.replace(/[.()]/g, '\\$&')}[ \\t]*(?:,.*)?`)).toBeUndefined();
});
