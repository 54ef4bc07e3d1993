export interface EnvoyBinary {
  binary: string;
  version: string;
}
export declare const release: {
  package: string;
  default: string;
  newest: string;
  oldest_supported: string;
  sha256: Record<string, Record<string, string>>;
};
export declare function fetchedEnvoy(version: string): string;
export declare function findOnPath(command: string): string | undefined;
export declare function findDefaultEnvoy(): EnvoyBinary | undefined;
export declare function findEnvoy(version: string): EnvoyBinary | undefined;
export declare function versionOf(binary: string): string | undefined;
