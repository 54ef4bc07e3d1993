import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { buildProgram } from '../../../src/cli/program.ts';

const program = buildProgram({ env: {}, signal: new AbortController().signal, afterDashes: [], out: () => {}, err: () => {}, exitWith: () => {} });
const document = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
const sections = new Map(
  document
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.split('\n')[0], section]),
);

function leaves(command: Command, path: string): [string, Command][] {
  const name = path ? `${path} ${command.name()}` : command.name();
  return command.commands.length === 0 ? [[name, command]] : command.commands.flatMap((child) => leaves(child, name));
}

const commands = leaves(program, '');

test('docs/cli.md describes every command and no other', () => {
  expect([...sections.keys()].sort()).toEqual(commands.map(([name]) => name).sort());
});

test.each(commands)('docs/cli.md lists the options of %s and no others', (name, command) => {
  // In the first column of the tables only: texts may mention options of others.
  const documented = (section = '') => [...section.matchAll(/^\| (`--[^|]*(?:\\\|[^|]*)*) \|/gm)].flatMap(([, cell]) => cell?.match(/--[a-z0-9-]+/g) ?? []);
  const inherited = name === 'adsum envoy' ? documented(sections.get('adsum bootstrap')) : [];
  const real = command.options.map((option) => option.long);
  expect([...documented(sections.get(name)), ...inherited].sort()).toEqual(real.sort());
});
