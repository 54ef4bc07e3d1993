import type { Command } from 'commander';
import type { CliIo } from './cli-io.ts';
import type { ServeOptions } from './serve-options.ts';

export function registerServe(program: Command, io: CliIo): void {
  const repeat = (value: string, before: string[]) => [...before, value];
  const command = program
    .command('serve')
    .description('read a mesh and serve it to Envoys')
    .option('--mesh <path>', 'a mesh file, or a folder of them (repeatable)', repeat, [])
    .option('--consul <url>', 'a live Consul instead: http://HOST:PORT, https://… or unix:///path; the CONSUL_… variables are honoured')
    .option('--consul-token <token>', 'token for Consul, also CONSUL_HTTP_TOKEN (which other users of the host cannot see in ps)')
    .option('--consul-token-file <file>', 'file with it, read again whenever it is needed; also CONSUL_HTTP_TOKEN_FILE')
    .option('--consul-datacenter <name>', "the datacenter to read; default: the agent's; also CONSUL_DATACENTER")
    .option('--consul-ca-file <file>', 'PEM of the CAs of Consul; also CONSUL_CACERT')
    .option('--consul-client-cert <file>', 'client certificate for Consul, PEM; also CONSUL_CLIENT_CERT')
    .option('--consul-client-key <file>', 'its private key; also CONSUL_CLIENT_KEY')
    .option('--consul-tls-server-name <name>', 'name in the certificate of Consul; also CONSUL_TLS_SERVER_NAME')
    .option('--grpc <host:port>', 'xDS; off loopback it needs --tls-cert and --tls-key, or --insecure-plaintext', '127.0.0.1:18000')
    .option('--tls-cert <file>', 'certificate chain of the xDS port, PEM; read again when it changes')
    .option('--tls-key <file>', 'its private key, PEM')
    .option('--tls-name <name>', "instead: make a certificate for this DNS name or IP address from the mesh's CA, and renew it (repeatable)", repeat, [])
    .option('--insecure-plaintext', 'serve xDS off loopback without TLS: private keys of the sidecars travel in the clear')
    .option('--allow-anonymous', 'serve sidecars that do not prove who they are; the default on loopback. For demos: whoever reaches xDS gets any key')
    .option('--require-identity', 'ask sidecars for a token or a client certificate; the default off loopback, with --mesh')
    .option('--tls-client-ca <file>', "PEM of the CAs that sign client certificates of sidecars (default: the mesh's own CA)")
    .option('--jwt-issuer <issuer>', 'take JSON Web Tokens of this issuer (iss) as tokens of sidecars')
    .option('--jwt-jwks-file <file>', 'its public keys, a JSON Web Key Set; read again when it changes')
    .option('--jwt-audience <audience>', 'what they must name as audience (aud)')
    .option('--jwt-service-claim <claim>', 'the claim that names the service or its SPIFFE ID (default: sub)')
    .option('--admin <host:port>', 'HTTP for operators', '127.0.0.1:18001')
    .option('--dns <host:port|off>', 'DNS for *.consul (default 127.0.0.1:8600 with --mesh, off with --consul)')
    .option('--dns-recursor <host[:port]>', 'where other domains are forwarded (repeatable)', repeat, [])
    .option('--dns-clients <network|any>', 'who is answered, such as 192.0.2.0/24 (repeatable; default: this host and private networks)', repeat, [])
    .option('--shutdown-delay <duration>', 'after SIGTERM: how long /readyz says no before streams are moved to other replicas', '0s')
    .option('--data-dir <dir>', 'CA key, virtual IPs, last good state (default $XDG_STATE_HOME/adsum, /var/lib/adsum for root)');
  command.action(async (options: ServeOptions) => {
    // gRPC, HTTP and protobuf load only here: the short commands should start fast
    const { runServe } = await import('./run-serve.ts');
    await runServe(options, command, io);
  });
}
