/** A JSON Web Key Set that Envoy takes, in base64. Its key is the example of RFC 7517, appendix A.1. */
export const KEY_SET = btoa(
  JSON.stringify({ keys: [{ kty: 'EC', crv: 'P-256', x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4', y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM' }] }),
);
