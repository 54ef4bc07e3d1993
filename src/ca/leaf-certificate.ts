import { createHash, createPrivateKey, generateKeyPair, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyedCertificate, Validity } from './certificate.ts';
import * as der from './der.ts';

/** What signs leaves: a root, parsed once. */
export interface Signer {
  readonly key: KeyObject;
  /** The root's subject, encoded. */
  readonly issuer: Buffer;
  /** The extensions that are the same for all its leaves, encoded. */
  readonly extensions: Buffer;
}

const VERSION_3 = der.tagged(0, der.positiveInteger(Buffer.from([2])));
const ECDSA_WITH_SHA256 = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2'));
const COMMON_NAME = der.objectIdentifier('2.5.4.3');
const SUBJECT_KEY_IDENTIFIER = der.objectIdentifier('2.5.29.14');
const SUBJECT_ALTERNATIVE_NAME = der.objectIdentifier('2.5.29.17');

/** No CA, usable for signatures and key agreement, as client and server. */
const SAME_FOR_ALL = Buffer.concat([
  der.sequence(der.objectIdentifier('2.5.29.19'), der.TRUE, der.octetString(der.sequence())),
  // digitalSignature is bit 0, keyAgreement bit 4.
  der.sequence(der.objectIdentifier('2.5.29.15'), der.TRUE, der.octetString(der.bitString(Buffer.from([0x88]), 3))),
  der.sequence(
    der.objectIdentifier('2.5.29.37'),
    der.octetString(der.sequence(der.objectIdentifier('1.3.6.1.5.5.7.3.2'), der.objectIdentifier('1.3.6.1.5.5.7.3.1'))),
  ),
]);

/** Parses a root and its key for signing. The key is an EC key. Throws what the parsers throw. */
export function loadSigner(certificate: string, privateKey: string): Signer {
  const key = createPrivateKey(privateKey);
  if (key.asymmetricKeyType !== 'ec') throw new Error(`a root with a key of type ${key.asymmetricKeyType} cannot sign; an EC key is needed`);
  const { subject, keyIdentifier } = readRoot(new X509Certificate(certificate).raw);
  const authority = der.sequence(der.objectIdentifier('2.5.29.35'), der.octetString(der.sequence(der.retagged(0, keyIdentifier))));
  return { key, issuer: subject, extensions: Buffer.concat([SAME_FOR_ALL, authority]) };
}

/** Source: `TBSCertificate` in RFC 5280, 4.1. The version is there, because only version 3 can be a CA. */
function readRoot(raw: Buffer): { subject: Buffer; keyIdentifier: Buffer } {
  const [body = Buffer.alloc(0)] = der.partsOf(raw);
  const [, , , , , subject, publicKey, ...others] = der.partsOf(body);
  if (!subject || !publicKey) throw new Error('the root is no X.509 certificate');
  const extensions = others.filter((part) => part[0] === 0xa3).flatMap((part) => der.partsOf(part).flatMap(der.partsOf));
  const own = extensions.map(der.partsOf).find(([id]) => id?.equals(SUBJECT_KEY_IDENTIFIER));
  return { subject, keyIdentifier: own ? der.contentOf(der.contentOf(own.at(-1) ?? raw)) : keyIdentifierOf(publicKey) };
}

/** SHA-1 of the public key's bits. Source: RFC 5280, 4.2.1.2, method 1. */
function keyIdentifierOf(publicKey: Buffer): Buffer {
  const [, bits = Buffer.alloc(0)] = der.partsOf(publicKey);
  return createHash('sha1').update(der.contentOf(bits).subarray(1)).digest();
}

const generateKeys = promisify(generateKeyPair);

/**
 * A leaf for mutual TLS in both directions, with one URI as its only alternative name; key and signature on P-256 with SHA-256, as Consul's
 * built-in CA. The certificate is put together here, around what is encoded once, because a storm of connects needs hundreds of
 * them: a library that builds each from objects costs ten times as much. Key and signature are made outside the event loop.
 */
export async function createLeaf(commonName: string, uri: string, validity: Validity, signer: Signer): Promise<KeyedCertificate> {
  const { publicKey, privateKey } = await generateKeys('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const serial = randomSerial();
  const body = der.sequence(
    VERSION_3,
    der.positiveInteger(serial),
    ECDSA_WITH_SHA256,
    signer.issuer,
    der.sequence(der.time(validity.notBefore), der.time(validity.notAfter)),
    // 64 characters are the most that X.520 allows for a common name; it is for people only, the URI is the identity.
    der.sequence(der.set(der.sequence(COMMON_NAME, der.utf8String(commonName.slice(0, 64))))),
    publicKey,
    der.tagged(
      3,
      der.sequence(
        signer.extensions,
        // Names of services and trust domains are ASCII; see `spiffe-id.ts`.
        der.sequence(SUBJECT_ALTERNATIVE_NAME, der.octetString(der.sequence(der.retagged(6, Buffer.from(uri, 'ascii'))))),
        der.sequence(SUBJECT_KEY_IDENTIFIER, der.octetString(der.octetString(keyIdentifierOf(publicKey)))),
      ),
    ),
  );
  const certificate = der.sequence(body, ECDSA_WITH_SHA256, der.bitString(await signed(body, signer.key)));
  return { certificate: pem('CERTIFICATE', certificate), privateKey, serial: serial.toString('hex'), ...validity };
}

function signed(body: Buffer, key: KeyObject): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    sign('sha256', body, { key, dsaEncoding: 'der' }, (error, signature) => (error ? reject(error) : resolve(signature))),
  );
}

/** 126 random bits, positive and without leading zeros, so that every tool prints the same number. */
export function randomSerial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
