import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { isIpAddress, isUsableVirtualIp } from '../mesh/check/address.ts';
import type { Mesh } from '../mesh/mesh.ts';
import type { Problem } from '../mesh/problem.ts';
import { NAME_PATTERN } from '../mesh/schema/field.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import { fileObstacle } from '../runtime/file-obstacle.ts';
import { readRegularText } from '../runtime/regular-file.ts';
import { openSealedJson, sealJson } from '../runtime/sealed-json.ts';
import { StateError } from '../runtime/state-error.ts';
import { addressesOf, allocateVirtualIps, isInRange, NO_VIRTUAL_IPS, namesNeedingVirtualIp, type VirtualIpState } from '../topology/virtual-ips.ts';
import { LAST_GOOD_MESH_FILE } from './last-good-mesh.ts';
import type { VirtualIps } from './virtual-ips.ts';

/** Pins may be of any range, IPv6 included. */
const address = z.string().refine((text) => isIpAddress(text) && isUsableVirtualIp(text), 'no address that can stand for a service');
const service = z.string().regex(NAME_PATTERN, 'no name of a service');
const schema: z.ZodType<VirtualIpState> = z
  .strictObject({
    assigned: z.record(service, address),
    released: z.array(z.strictObject({ service, address, releasedAtMs: z.number() })),
    nextFresh: z.number().int().refine(isInRange, 'outside of the range of virtual IPs'),
  })
  .refine(({ assigned, released }) => {
    const all = [...Object.values(assigned), ...released.map((one) => one.address)];
    return new Set(all).size === all.length;
  }, 'one address is there twice');

/** The virtual IPs of a mesh, kept in the data dir: on the disk before anybody is told of them. */
export class VirtualIpStore implements VirtualIps {
  readonly #file: string;
  #state: VirtualIpState;
  /** From the first mesh on there is a file, so that one that is missing is noticed. */
  #kept: boolean;

  /** @throws StateError when the file is there but cannot be read or understood */
  constructor(options: { dataDir: string }) {
    this.#file = path.join(options.dataDir, 'virtual-ips.json');
    const kept = load(this.#file);
    if (!kept && existsSync(path.join(options.dataDir, LAST_GOOD_MESH_FILE))) {
      throw new StateError(this.#file, `is missing, but ${LAST_GOOD_MESH_FILE} says that it was there`);
    }
    this.#kept = kept !== undefined;
    this.#state = kept ?? NO_VIRTUAL_IPS;
  }

  /**
   * Service → address for everything in `mesh` that must have one, after new ones are safely written.
   * @throws StateError when they cannot be written: then the mesh must not be served
   */
  assign(mesh: Mesh, now: number): { addresses: ReadonlyMap<string, string>; problems: Problem[] } {
    const names = namesNeedingVirtualIp(mesh);
    const occupied = [...mesh.manualVirtualIps.values()].flat();
    const state = allocateVirtualIps(this.#state, names, { pinned: mesh.pinnedVirtualIps, occupied, now });
    if (!this.#kept || JSON.stringify(state) !== JSON.stringify(this.#state)) {
      try {
        writeDurably(this.#file, sealJson(state, 1));
      } catch (error) {
        throw new StateError(this.#file, `cannot be written: ${error instanceof Error ? error.message : String(error)}`);
      }
      this.#state = state;
      this.#kept = true;
    }
    const addresses = addressesOf(state, names);
    const missing = names.filter((name) => !addresses.has(name));
    return {
      addresses,
      problems: missing.map((name) => ({
        code: 'virtual-ips-used-up',
        severity: 'error',
        message: `no virtual IP is left for ${name}`,
        hint: 'pin one under virtual_ips',
      })),
    };
  }
}

function load(file: string): VirtualIpState | undefined {
  let text: string;
  try {
    text = readRegularText(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StateError(file, `cannot be read: ${fileObstacle(file, 'read', error).reason}`, 'run as the owner of the file');
  }
  try {
    return schema.parse(openSealedJson(text));
  } catch (error) {
    throw new StateError(file, `is damaged: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError) return 'not JSON';
  if (error instanceof z.ZodError) return error.issues.map(({ path: where, message }) => `${where.join('.') || 'the file'}: ${message}`)[0] ?? '';
  return error instanceof Error ? error.message : String(error);
}
