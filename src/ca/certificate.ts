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

export function wholeSeconds(validity: Validity): Validity {
  return { notBefore: Math.floor(validity.notBefore / 1000) * 1000, notAfter: Math.floor(validity.notAfter / 1000) * 1000 };
}
