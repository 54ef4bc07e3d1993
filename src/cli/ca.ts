import type { Command } from 'commander';
import type { CaStatus, IssuedLeaf } from '../admin/admin-api.ts';
import { addAdminSocket, adminWriterFor } from './admin-client.ts';
import type { CliIo } from './cli-io.ts';
import { writePemFiles } from './pem-files.ts';

export function registerCa(program: Command, io: CliIo): void {
  const ca = program.command('ca').description('the built-in certificate authority');

  const rotate = ca.command('rotate').description('a new root, with an overlap in which both are trusted; nothing is interrupted');
  addAdminSocket(rotate).action(async () => {
    const { roots, rotation } = (await (await adminWriterFor(rotate, io)).post('/v1/ca/rotate', {})) as CaStatus;
    for (const root of roots) io.out(`${root.id} ${root.signing ? 'signing' : 'trusted'} until ${root.not_after}\n`);
    if (rotation) io.err(`${rotation}\n`);
  });

  const issue = ca.command('issue').description('a leaf certificate for tests and tools: cert.pem, key.pem, ca.pem');
  addAdminSocket(issue)
    .requiredOption('--service <name>', 'the service it speaks for')
    .requiredOption('--out <dir>', 'where the three files go')
    .action(async (options: { service: string; out: string }) => {
      const leaf = (await (await adminWriterFor(issue, io)).post('/v1/ca/leaf', { service: options.service })) as IssuedLeaf;
      writePemFiles(options.out, { cert: leaf.certificate_chain, key: leaf.private_key, ca: leaf.roots });
      io.out(`${leaf.spiffe_id} until ${leaf.not_after}\n`);
    });
}
