import type { Command } from 'commander';
import type { CreatedToken, TokenStatus } from '../admin/admin-api.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import { addAdminSocket, adminWriterFor } from './admin-client.ts';
import { CliError, UsageError } from './cli-error.ts';
import type { CliIo } from './cli-io.ts';
import { parseTtl } from './ttl.ts';

interface CreateFlags {
  readonly service?: string;
  readonly node?: string;
  readonly operator?: true;
  readonly ttl?: string;
  readonly out?: string;
  readonly json?: boolean;
}

export function registerToken(program: Command, io: CliIo): void {
  const token = program.command('token').description('tokens with which sidecars prove who they are');

  const create = token.command('create').description('a new token, printed once; give it to the sidecar in a file (adsum envoy --token-file)');
  addAdminSocket(create)
    .option('--service <name>', 'the service whose sidecars may show it')
    .option('--node <name>', 'on this node only')
    .option('--operator', 'for reading everything over the admin port from other hosts, instead of --service')
    .option('--ttl <duration>', 'how long it is valid, e.g. 720h; without it until it is revoked')
    .option('--out <file>', 'write it there (0600), without a line break, instead of printing it')
    .option('--json', 'as JSON, with its ID and its end')
    .action(async (flags: CreateFlags) => {
      const { out, json } = flags;
      const created = (await (await adminWriterFor(create, io)).post('/v1/tokens', grantOf(flags))) as CreatedToken;
      if (created.unknown_service) io.err(`adsum: warning: the mesh has no service ${created.service} now\n`);
      if (out !== undefined) writeToken(out, created.token);
      else io.out(json ? `${JSON.stringify(created, null, 2)}\n` : `${created.token}\n`);
      if (!json) io.err(`${describe(created)}\n`);
    });

  const list = token.command('list').description('the tokens in force, without the secrets');
  addAdminSocket(list)
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const answer = (await (await adminWriterFor(list, io)).get('/v1/tokens')) as { tokens: TokenStatus[] };
      io.out(json ? `${JSON.stringify(answer, null, 2)}\n` : answer.tokens.map((one) => `${describe(one)}\n`).join(''));
    });

  const revoke = token
    .command('revoke')
    .description('takes a token back; streams that showed it end at once')
    .argument('<id>', 'as `adsum token list` shows it');
  addAdminSocket(revoke).action(async (id: string) => {
    await (await adminWriterFor(revoke, io)).delete(`/v1/tokens/${encodeURIComponent(id)}`);
    io.err(`token ${id} is revoked\n`);
  });
}

function grantOf({ service, node, operator, ttl, out, json }: CreateFlags): object {
  if (out !== undefined && json) throw new UsageError('--out and --json exclude each other');
  if ((service === undefined) === (operator === undefined)) throw new UsageError('either --service NAME or --operator is needed');
  if (operator && node !== undefined) throw new UsageError('--node goes with --service');
  return {
    ...(service === undefined ? { operator } : { service }),
    ...(node === undefined ? {} : { node }),
    ...(ttl === undefined ? {} : { ttl_ms: parseTtl(ttl) }),
  };
}

/** By rename, so that an Envoy that watches the file finds the old one or the new one. */
function writeToken(file: string, token: string): void {
  try {
    writeDurably(file, token);
  } catch (error) {
    throw new CliError(`--out ${file} cannot be written: ${error instanceof Error ? error.message : String(error)}; the token that was made is of no use`, {
      cause: error,
      hint: 'revoke it (adsum token list, adsum token revoke) and make another',
    });
  }
}

function describe({ id, service = 'operators', node, created_at, expires_at }: TokenStatus): string {
  const end = expires_at === undefined ? 'until it is revoked' : `until ${expires_at}`;
  return `${id} for ${service}${node === undefined ? '' : ` on ${node}`}, made ${created_at}, ${end}`;
}
