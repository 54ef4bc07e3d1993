import type { Command } from 'commander';
import type { IssuedServerCertificate } from '../admin/admin-api.ts';
import { addAdminSocket, adminWriterFor } from './admin-client.ts';
import type { CliIo } from './cli-io.ts';
import { writePemFiles } from './pem-files.ts';
import { parseTtl } from './ttl.ts';

export function registerTls(program: Command, io: CliIo): void {
  const tls = program.command('tls').description("certificates of adsum's own ports");
  const create = tls.command('create').description("a certificate for the xDS port, from the mesh's CA: cert.pem, key.pem, ca.pem");
  addAdminSocket(create)
    .requiredOption('--name <name>', 'DNS name or IP address that sidecars call it by (repeatable)', (value: string, before: string[] = []) => [
      ...before,
      value,
    ])
    .requiredOption('--out <dir>', 'where the three files go')
    .option('--ttl <duration>', 'how long it is valid (default 720h)')
    .action(async ({ name, out, ttl }: { name: string[]; out: string; ttl?: string }) => {
      const wanted = { names: name, ...(ttl === undefined ? {} : { ttl_ms: parseTtl(ttl) }) };
      const made = (await (await adminWriterFor(create, io)).post('/v1/tls', wanted)) as IssuedServerCertificate;
      writePemFiles(out, { cert: made.certificate, key: made.private_key, ca: made.roots });
      io.out(`${name.join(', ')} until ${made.not_after}\n`);
    });
}
