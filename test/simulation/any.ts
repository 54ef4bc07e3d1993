import type { Any, Messages } from '../../src/proto/generated/types.ts';

/** The message in an Any if it is of this type. */
export function configOf<Name extends keyof Messages>(config: Any | undefined, name: Name): Messages[Name] | undefined {
  return config?.['@type'] === `type.googleapis.com/${name}` ? (config as unknown as Messages[Name]) : undefined;
}

/** The first of several extensions (filters, …) that is of this type. */
export function findConfig<Name extends keyof Messages>(
  extensions: readonly { readonly typed_config?: Any }[] | undefined,
  name: Name,
): Messages[Name] | undefined {
  return extensions?.map(({ typed_config }) => configOf(typed_config, name)).find((found) => found !== undefined);
}
