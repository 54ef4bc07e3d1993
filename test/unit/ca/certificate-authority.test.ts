// Before the X.509 library is loaded.
import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { BasicConstraintsExtension, ExtendedKeyUsageExtension, KeyUsageFlags, KeyUsagesExtension, X509Certificate as ParsedCertificate } from '@peculiar/x509';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CaChange } from '../../../src/ca/authority.ts';
import { type CaOptions, type CertificateAuthority, openCertificateAuthority } from '../../../src/ca/certificate-authority.ts';
import { ManualClock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { temporaryFolder } from './temporary-folder.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const START = Date.UTC(2026, 0, 1);

/** A CA on a clock that the test turns; `reopen` is what a restart does. */
class Bench {
  readonly dir = path.join(temporaryFolder(), 'data');
  readonly clock: ManualClock;

  constructor(start = START) {
    this.clock = new ManualClock(start);
  }

  async open(more: Partial<CaOptions> = {}): Promise<CertificateAuthority> {
    const ca = await openCertificateAuthority({ dir: this.dir, datacenter: 'dc1', clock: this.clock, logger: silentLogger, ...more });
    onTestFinished(() => ca.close());
    return ca;
  }

  get file(): string {
    return path.join(this.dir, 'ca.json');
  }
}

function phases(ca: CertificateAuthority): string[] {
  return ca.status().map((root) => root.phase);
}

/** Which of the trusted roots vouch for a leaf. */
function vouchers(ca: CertificateAuthority, certificateChain: string): number[] {
  const leaf = new X509Certificate(certificateChain);
  return ca.roots().flatMap((pem, i) => {
    const root = new X509Certificate(pem);
    return leaf.checkIssued(root) && leaf.verify(root.publicKey) ? [i] : [];
  });
}

describe('certificates', () => {
  test('a root is a CA of the trust domain for ten years', async () => {
    const ca = await new Bench().open();
    expect(ca.trustDomain).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}\.consul$/);
    const [pem = ''] = ca.roots();
    expect(pem).toMatch(/^-----BEGIN CERTIFICATE-----\n[^-]+\n-----END CERTIFICATE-----\n$/);
    const root = new X509Certificate(pem);
    expect(root.ca).toBe(true);
    expect(root.subjectAltName).toBe(`URI:spiffe://${ca.trustDomain}`);
    expect(root.subject).toMatch(/^CN=adsum root [0-9a-f]{8}$/);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(Date.parse(root.validTo) - START).toBe(87_600 * HOUR);
    expect(START - Date.parse(root.validFrom)).toBe(60 * SECOND);
    expect(new ParsedCertificate(pem).getExtension(KeyUsagesExtension)?.usages).toBe(
      KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign,
    );
  });

  test('a leaf has the service as its only name, both usages of TLS, and 72 hours', async () => {
    const ca = await new Bench().open({ trustDomain: 'example.consul' });
    const leaf = await ca.issueLeaf('api');
    const certificate = new X509Certificate(leaf.certificateChain);
    expect(leaf.spiffeId).toBe('spiffe://example.consul/ns/default/dc/dc1/svc/api');
    expect(certificate.subjectAltName).toBe(`URI:${leaf.spiffeId}`);
    expect(certificate.ca).toBe(false);
    expect(vouchers(ca, leaf.certificateChain)).toEqual([0]);
    expect([leaf.notBefore, leaf.notAfter]).toEqual([START - 60 * SECOND, START + 72 * HOUR]);
    expect([Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]).toEqual([leaf.notBefore, leaf.notAfter]);
    expect(certificate.serialNumber.toLowerCase()).toBe(leaf.serial);
    const parsed = new ParsedCertificate(leaf.certificateChain);
    expect(parsed.getExtension(KeyUsagesExtension)?.usages).toBe(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyAgreement);
    expect(parsed.getExtension(ExtendedKeyUsageExtension)?.usages).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
    expect(parsed.getExtension(BasicConstraintsExtension)?.ca).toBe(false);
  });

  test('serials and keys differ, and a very long name still makes a certificate', async () => {
    const ca = await new Bench().open();
    const leaves = await Promise.all(['api', 'api', 'x'.repeat(200)].map((service) => ca.issueLeaf(service)));
    expect(new Set(leaves.map((leaf) => leaf.serial)).size).toBe(3);
    expect(new Set(leaves.map((leaf) => leaf.privateKey)).size).toBe(3);
    expect(new X509Certificate(leaves[2]?.certificateChain ?? '').subjectAltName).toContain('x'.repeat(200));
  });

  test.each(['', '.', '..', 'web/../api', 'a b', 'ä', 'a%2fb', 'a,b'])('%j is no service that a certificate could name', async (service) => {
    const ca = await new Bench().open();
    await expect(ca.issueLeaf(service)).rejects.toMatchObject({ code: 'ca-bad-name' });
  });

  test('two sides with leaves of one CA speak mutual TLS; a leaf of another CA is refused', async () => {
    const ca = await new Bench(Date.now()).open();
    const other = await new Bench(Date.now()).open({ trustDomain: ca.trustDomain });
    const [api, web, stranger] = await Promise.all([ca.issueLeaf('api'), ca.issueLeaf('web'), other.issueLeaf('web')]);
    const trusted = [...ca.roots()];
    const server = createServer({ key: api.privateKey, cert: api.certificateChain, ca: trusted, requestCert: true, rejectUnauthorized: true });
    server.on('secureConnection', (socket: TLSSocket) => socket.end(socket.getPeerX509Certificate()?.subjectAltName ?? ''));
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const call = async (leaf: typeof web) => {
      const { port } = server.address() as AddressInfo;
      const options = { host: '127.0.0.1', port, key: leaf.privateKey, cert: leaf.certificateChain, ca: trusted, checkServerIdentity: () => undefined };
      let text = '';
      for await (const chunk of connect(options).setEncoding('utf8')) text += chunk;
      return text;
    };
    expect(await call(web)).toBe(`URI:${web.spiffeId}`);
    // TLS 1.3 tells the client only after its own handshake: an error or just an end, but never an answer.
    expect(await call(stranger).catch(() => '')).toBe('');
    server.close();
  });
});

describe('the state file', () => {
  test('is for the owner only, and gives back the same CA', async () => {
    const bench = new Bench();
    const first = await bench.open();
    expect(statSync(bench.dir).mode & 0o777).toBe(0o700);
    expect(statSync(bench.file).mode & 0o777).toBe(0o600);
    const second = await bench.open();
    expect(second.trustDomain).toBe(first.trustDomain);
    expect(second.roots()).toEqual(first.roots());
    expect(vouchers(first, (await second.issueLeaf('api')).certificateChain)).toEqual([0]);
  });

  test('that others could read is closed to them', async () => {
    const bench = new Bench();
    await bench.open();
    chmodSync(bench.file, 0o644);
    await bench.open();
    expect(statSync(bench.file).mode & 0o777).toBe(0o600);
  });

  test('a trust domain other than the stored one is refused', async () => {
    const bench = new Bench();
    await bench.open({ trustDomain: 'one.consul' });
    await bench.open({ trustDomain: 'one.consul' });
    await expect(bench.open({ trustDomain: 'two.consul' })).rejects.toMatchObject({
      code: 'ca-trust-domain-mismatch',
      message: expect.stringContaining('the CA is of trust domain one.consul, the mesh asks for two.consul'),
    });
  });

  type Parsed = { trustDomain: string; roots: { certificate: string; privateKey: string; phase: string }[] };
  test.each<[string, (state: Parsed, bench: Bench) => string | Promise<string>]>([
    ['empty', () => ''],
    ['cut', (state) => JSON.stringify(state).slice(0, 700)],
    ['of another kind', () => '{"version":3}'],
    ['without a root', (state) => JSON.stringify({ ...state, roots: [] })],
    ['of another trust domain', (state) => JSON.stringify({ ...state, trustDomain: 'other.consul' })],
    ['with a broken certificate', (state) => JSON.stringify(state).replace('MII', 'MIX')],
    [
      'with a key that does not fit',
      async (state) => {
        const other = new Bench();
        await other.open();
        const [root] = (JSON.parse(readFileSync(other.file, 'utf8')) as Parsed).roots;
        return JSON.stringify({ ...state, roots: state.roots.map((own) => ({ ...own, privateKey: root?.privateKey })) });
      },
    ],
  ])('%s: one clear error, and the file stays as it is', async (_, damage) => {
    const bench = new Bench();
    await bench.open();
    const damaged = await damage(JSON.parse(readFileSync(bench.file, 'utf8')) as Parsed, bench);
    writeFileSync(bench.file, damaged);
    const error = await bench.open().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'CaError', code: 'ca-state-damaged', file: bench.file, hint: expect.stringContaining('backup') });
    expect(String(error)).not.toContain('PRIVATE KEY');
    expect(readFileSync(bench.file, 'utf8')).toBe(damaged);
  });

  test('that cannot be written or read: a clear error that names it', async () => {
    const bench = new Bench();
    writeFileSync(bench.dir, 'a file where the folder should be');
    await expect(bench.open()).rejects.toMatchObject({ name: 'CaError', file: bench.file, message: expect.stringContaining(bench.file) });
    const second = new Bench();
    mkdirSync(second.file, { recursive: true });
    await expect(second.open()).rejects.toMatchObject({ code: 'ca-state-unreadable' });
  });
});

describe('rotation', () => {
  /** Runs a rotation; with `restart`, the process dies and comes back after every step. */
  test.each([false, true])('the new root is trusted first, then signs, then is alone (restart at every step: %s)', async (restart) => {
    const bench = new Bench();
    let ca = await bench.open();
    const changes: CaChange[] = [];
    const next = async () => {
      if (restart) {
        ca.close();
        ca = await bench.open();
      }
      ca.onChange((change) => changes.push(change));
    };
    const oldLeaf = await ca.issueLeaf('api');
    await next();

    await ca.rotate();
    expect(changes.splice(0)).toEqual(['roots']);
    await next();
    expect(phases(ca)).toEqual(['signing', 'staged']);
    expect(vouchers(ca, (await ca.issueLeaf('api')).certificateChain)).toEqual([0]);
    bench.clock.advance(9 * SECOND);
    expect(phases(ca)).toEqual(['signing', 'staged']);

    bench.clock.advance(1 * SECOND);
    expect(changes.splice(0)).toContain('signer');
    const switched = bench.clock.now();
    await next();
    expect(phases(ca)).toEqual(['retiring', 'signing']);
    expect(vouchers(ca, (await ca.issueLeaf('api')).certificateChain)).toEqual([1]);
    expect(vouchers(ca, oldLeaf.certificateChain)).toEqual([0]);

    // A leaf signed by the old root just before the switch is good for 72 hours.
    bench.clock.advance(72 * HOUR);
    expect(ca.roots()).toHaveLength(2);
    await next();
    bench.clock.advance(60 * SECOND);
    expect(ca.roots()).toHaveLength(1);
    expect(bench.clock.now() - switched).toBe(72 * HOUR + 60 * SECOND);
    expect(changes).toContain('roots');
    await next();
    expect(phases(ca)).toEqual(['signing']);
    expect(vouchers(ca, (await ca.issueLeaf('api')).certificateChain)).toEqual([0]);
    expect(vouchers(ca, oldLeaf.certificateChain)).toEqual([]);
  });

  test('roots have different subjects, so that a verifier finds the right one', async () => {
    const ca = await new Bench().open();
    await ca.rotate();
    expect(new Set(ca.roots().map((pem) => new X509Certificate(pem).subject)).size).toBe(2);
  });

  test('the bundle changes with the roots, not with the signer', async () => {
    const bench = new Bench();
    const ca = await bench.open();
    await ca.rotate();
    const before = ca.roots();
    bench.clock.advance(10 * SECOND);
    expect(phases(ca)).toEqual(['retiring', 'signing']);
    expect(ca.roots()).toEqual(before);
  });

  test('confirmed delivery shortens the wait; that of an older bundle does not', async () => {
    const ca = await new Bench().open();
    const old = ca.roots();
    await ca.rotate();
    ca.markRootsDelivered(old);
    expect(phases(ca)).toEqual(['signing', 'staged']);
    ca.markRootsDelivered(ca.roots());
    expect(phases(ca)).toEqual(['retiring', 'signing']);
  });

  test('after a restart the staged root waits again, for nobody could fetch it meanwhile', async () => {
    const bench = new Bench();
    const first = await bench.open();
    await first.rotate();
    first.close();
    bench.clock.advance(HOUR);
    const second = await bench.open();
    expect(phases(second)).toEqual(['signing', 'staged']);
    bench.clock.advance(10 * SECOND);
    expect(phases(second)).toEqual(['retiring', 'signing']);
  });

  test('one at a time; the next may start while the last root retires', async () => {
    const bench = new Bench();
    const ca = await bench.open();
    const both = await Promise.allSettled([ca.rotate(), ca.rotate()]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await expect(ca.rotate()).rejects.toMatchObject({ code: 'ca-rotation-running' });
    bench.clock.advance(10 * SECOND);
    await ca.rotate();
    expect(phases(ca)).toEqual(['retiring', 'signing', 'staged']);
    bench.clock.advance(73 * HOUR);
    expect(phases(ca)).toEqual(['signing']);
  });

  test('what cannot be written does not happen', async () => {
    const bench = new Bench();
    const ca = await bench.open();
    await ca.rotate();
    const stored = readFileSync(bench.file);
    await breakFolder(bench, async () => {
      bench.clock.advance(11 * SECOND);
      expect(phases(ca)).toEqual(['signing', 'staged']);
    });
    writeFileSync(bench.file, stored);
    bench.clock.advance(60 * SECOND);
    expect(phases(ca)).toEqual(['retiring', 'signing']);
    await breakFolder(bench, () => expect(ca.rotate()).rejects.toMatchObject({ code: 'ca-state-unwritable' }));
    expect(phases(ca)).toEqual(['retiring', 'signing']);
  });

  /** Works for root too, who may write anywhere: a folder stands where the file should go. */
  async function breakFolder(bench: Bench, during: () => unknown): Promise<void> {
    const { renameSync, rmdirSync } = await import('node:fs');
    renameSync(bench.file, `${bench.file}.kept`);
    mkdirSync(bench.file);
    await during();
    rmdirSync(bench.file);
    renameSync(`${bench.file}.kept`, bench.file);
  }

  test('starts on its own when nine tenths of the life of the root are over', async () => {
    const bench = new Bench();
    const timing = { rootTtlMs: 1000 * HOUR };
    const ca = await bench.open({ timing });
    bench.clock.advance(899 * HOUR);
    expect(ca.roots()).toHaveLength(1);
    bench.clock.advance(2 * HOUR);
    await vi.waitFor(() => expect(phases(ca)).toEqual(['signing', 'staged']));
    bench.clock.advance(10 * SECOND);
    expect(phases(ca)).toEqual(['retiring', 'signing']);
    bench.clock.advance(100 * HOUR);
    expect(phases(ca)).toEqual(['signing']);
  });

  test('a leaf never outlives its root, and an expired root is replaced before anything is signed', async () => {
    const bench = new Bench();
    const timing = { rootTtlMs: 100 * HOUR };
    const first = await bench.open({ timing });
    first.close();
    bench.clock.advance(80 * HOUR);
    const second = await bench.open({ timing });
    expect((await second.issueLeaf('api')).notAfter).toBe(START + 100 * HOUR);
    second.close();
    bench.clock.advance(100 * HOUR);
    const third = await bench.open({ timing });
    const leaf = await third.issueLeaf('api');
    expect(leaf.notAfter).toBe(bench.clock.now() + 72 * HOUR);
    expect(vouchers(third, leaf.certificateChain)).toHaveLength(1);
  });

  test('nothing happens after close', async () => {
    const bench = new Bench();
    const ca = await bench.open();
    await ca.rotate();
    ca.close();
    bench.clock.advance(HOUR);
    expect(phases(ca)).toEqual(['signing', 'staged']);
    expect(existsSync(bench.file)).toBe(true);
  });
});
