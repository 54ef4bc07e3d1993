/** The flags of `adsum serve` as they were given. */
export interface ServeOptions {
  mesh: string[];
  consul?: string;
  consulToken?: string;
  consulTokenFile?: string;
  consulDatacenter?: string;
  consulCaFile?: string;
  consulClientCert?: string;
  consulClientKey?: string;
  consulTlsServerName?: string;
  grpc: string;
  tlsCert?: string;
  tlsKey?: string;
  tlsName: string[];
  insecurePlaintext?: boolean;
  allowAnonymous?: boolean;
  requireIdentity?: boolean;
  tlsClientCa?: string;
  jwtIssuer?: string;
  jwtJwksFile?: string;
  jwtAudience?: string;
  jwtServiceClaim?: string;
  admin: string;
  dns?: string;
  dnsRecursor: string[];
  dnsClients: string[];
  shutdownDelay: string;
  dataDir?: string;
}
