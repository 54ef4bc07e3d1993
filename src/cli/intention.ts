import type { Command } from 'commander';
import type { IntentionVerdict } from '../admin/admin-api.ts';
import { addAdminAddr, addAdminToken, adminClientFor } from './admin-client.ts';
import type { CliIo } from './cli-io.ts';

export function registerIntention(program: Command, io: CliIo): void {
  const check = program
    .command('intention')
    .description('ask what the intentions decide')
    .command('check')
    .description('allowed or denied, and by which intention')
    .argument('<source>')
    .argument('<destination>');
  addAdminToken(addAdminAddr(check))
    .option('--json', 'as JSON')
    .action(async (source: string, destination: string, options: { json?: boolean }) => {
      const query = new URLSearchParams({ source, destination });
      const verdict = (await adminClientFor(check, io).get(`/v1/intentions/check?${query}`)) as IntentionVerdict;
      io.out(options.json ? `${JSON.stringify(verdict, null, 2)}\n` : `${describe(verdict)}\n`);
    });
}

function describe({ source, destination, verdict, intention, place }: IntentionVerdict): string {
  const outcome = { allow: 'allowed', deny: 'denied', l7: 'allowed to connect; permissions decide each request' }[verdict];
  const where = place?.file ? ` at ${place.file}${place.line ? `:${place.line}` : ''}` : '';
  return `${source} => ${destination}: ${outcome} (${intention ? `intention ${intention}${where}` : 'default policy'})`;
}
