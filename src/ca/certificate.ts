// The X.509 library resolves its parts through decorators and needs this before it is loaded.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** ECDSA on P-256 with SHA-256, as Consul's built-in CA. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** From when to when a certificate is valid, in ms since the epoch; whole seconds, because X.509 knows no finer time. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A certificate with its private key. */
export interface KeyedCertificate extends Validity {
  /** PEM, ending in a newline. */
  readonly certificate: string;
  /** PKCS#8 PEM, ending in a newline. */
  readonly privateKey: string;
  /** Hexadecimal, unique. */
  readonly serial: string;
}

/** What signs leaves: a root, parsed once. */
export interface Signer {
  readonly certificate: X509Certificate;
  readonly key: webcrypto.CryptoKey;
  readonly authorityKey: AuthorityKeyIdentifierExtension;
}

/** The same for every leaf; made once, because encoding is most of the cost of a leaf. */
const LEAF_EXTENSIONS = [
  new BasicConstraintsExtension(false, undefined, true),
  new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyAgreement, true),
  new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
];

export function wholeSeconds(validity: Validity): Validity {
  return { notBefore: Math.floor(validity.notBefore / 1000) * 1000, notAfter: Math.floor(validity.notAfter / 1000) * 1000 };
}

/** A self-signed root. The common name must be unique: verifiers choose among several roots by it. */
export async function createRoot(commonName: string, uri: string, validity: Validity): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const subject = [{ CN: [commonName] }];
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      subject,
      issuer: subject,
      ...dates(validity),
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        new SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return keyed(certificate, keys.privateKey, validity);
}

/** A leaf for mutual TLS in both directions, with one URI as its only alternative name. */
export async function createLeaf(commonName: string, uri: string, validity: Validity, signer: Signer): Promise<KeyedCertificate> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: randomSerial(),
      // 64 characters are the most that X.520 allows for a common name; it is for people only, the URI is the identity.
      subject: [{ CN: [commonName.slice(0, 64)] }],
      issuer: signer.certificate.subjectName,
      ...dates(validity),
      publicKey: keys.publicKey,
      signingKey: signer.key,
      signingAlgorithm: ALGORITHM,
      extensions: [
        ...LEAF_EXTENSIONS,
        new SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        signer.authorityKey,
      ],
    },
    webcrypto,
  );
  return keyed(certificate, keys.privateKey, validity);
}

/** Parses a root and its key for signing; throws what the parsers throw. */
export async function loadSigner(certificate: string, privateKey: string): Promise<Signer> {
  const der = createPrivateKey(privateKey).export({ type: 'pkcs8', format: 'der' });
  const root = new X509Certificate(certificate);
  return {
    certificate: root,
    key: await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']),
    authorityKey: await AuthorityKeyIdentifierExtension.create(root.publicKey, false, webcrypto),
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** 126 random bits, positive and without leading zeros, so that every tool prints the same number. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function dates(validity: Validity): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(validity.notBefore), notAfter: new Date(validity.notAfter) };
}

async function keyed(certificate: X509Certificate, key: webcrypto.CryptoKey, validity: Validity): Promise<KeyedCertificate> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return {
    certificate: `${certificate.toString('pem')}\n`,
    privateKey: `${PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    serial: certificate.serialNumber,
    notBefore: validity.notBefore,
    notAfter: validity.notAfter,
  };
}
