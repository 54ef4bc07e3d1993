import { type ConfigEntryKind, configEntrySchemas } from './config-entry.ts';
import { describeSchema, type FieldDescription } from './describe.ts';
import { configEntryExamples } from './examples.ts';
import type { FieldMeta } from './field.ts';

const KINDS = Object.keys(configEntrySchemas) as ConfigEntryKind[];

/** The reference of config entries: file name → Markdown. */
export function configEntryPages(): ReadonlyMap<string, string> {
  return new Map([['README.md', indexPage()], ...KINDS.map((kind) => [`${kind}.md`, entryPage(kind)] as const)]);
}

function describe(kind: ConfigEntryKind): string {
  return (configEntrySchemas[kind].meta() as FieldMeta | undefined)?.description ?? '';
}

function indexPage(): string {
  const rows = KINDS.map((kind) => `| [${kind}](${kind}.md) | ${describe(kind)} |`);
  return `# Config entries

Every kind of config entry that adsum reads, written under \`config_entries\` of a mesh file just as \`consul config write\` takes it. Keys may be spelled in
\`snake_case\` or \`CamelCase\`; keys of your own (in \`meta\`, \`config\`, \`arguments\`, names of subsets) keep their spelling. An unknown key is an error.

Durations are written as in Go: \`10s\`, \`1m30s\`, \`250ms\`; a bare number counts nanoseconds, as Consul's HTTP API prints it. \`namespace\` and \`partition\` may
be \`default\` wherever Consul has them. What Consul prints and ignores on writing (\`CreateIndex\`, \`ModifyIndex\`, \`Precedence\`, …) is ignored here too.

These pages are made from the schemas that parse the entries: \`npm run build && node scripts/generate-docs.mjs\`.

| kind | what it is |
| --- | --- |
${rows.join('\n')}
`;
}

function entryPage(kind: ConfigEntryKind): string {
  return `# ${kind}

${describe(kind)}

\`\`\`yaml
${configEntryExamples[kind].trim()}
\`\`\`

## Fields

| field | type | default | meaning |
| --- | --- | --- | --- |
${describeSchema(configEntrySchemas[kind]).map(row).join('\n')}
`;
}

function row(field: FieldDescription): string {
  const type = field.unit && field.type !== 'duration' ? `${field.type}, ${field.unit}` : field.type;
  const fallback = field.isRequired ? '**required**' : (field.default ?? '');
  return `| \`${field.path}\` | ${cell(type)} | ${cell(fallback)} | ${cell(field.description)} |`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
