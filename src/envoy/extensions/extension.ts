import type { ProxyView } from '../../topology/proxy-view.ts';
import type { EnvoyResource } from '../resource.ts';

/** What an extension works on. */
export interface ExtensionInput {
  readonly resources: readonly EnvoyResource[];
  readonly view: ProxyView;
  /** The name of the listener that receives for the application: a user may have written it, under any name. */
  readonly publicListener: string;
  /** Without it a failure of the extension itself, at run time, lets requests through. */
  readonly required: boolean;
}

/** Why an extension cannot be applied. Thrown inside this folder and caught where extensions are applied. */
export class ExtensionError extends Error {}
