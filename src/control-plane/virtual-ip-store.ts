import path from 'node:path';
import { z } from 'zod';
import type { Mesh } from '../mesh/mesh.ts';
import type { Problem } from '../mesh/problem.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import { fileObstacle } from '../runtime/file-obstacle.ts';
import { readRegularText } from '../runtime/regular-file.ts';
import { StateError } from '../runtime/state-error.ts';
import { addressesOf, allocateVirtualIps, NO_VIRTUAL_IPS, namesNeedingVirtualIp, type VirtualIpState } from '../topology/virtual-ips.ts';
import type { VirtualIps } from './virtual-ips.ts';

const schema: z.ZodType<VirtualIpState> = z.strictObject({
  assigned: z.record(z.string(), z.ipv4()),
  released: z.array(z.strictObject({ service: z.string(), address: z.ipv4(), releasedAtMs: z.number() })),
  nextFresh: z.number().int().nonnegative(),
});

/** The virtual IPs of a mesh, kept in the data dir: on the disk before anybody is told of them. */
export class VirtualIpStore implements VirtualIps {
  readonly #file: string;
  #state: VirtualIpState;

  /** @throws StateError when the file is there but cannot be read or understood */
  constructor(options: { dataDir: string }) {
    this.#file = path.join(options.dataDir, 'virtual-ips.json');
    this.#state = load(this.#file);
  }

  /**
   * Service → address for everything in `mesh` that must have one, after new ones are safely written.
   * @throws StateError when they cannot be written: then the mesh must not be served
   */
  assign(mesh: Mesh, now: number): { addresses: ReadonlyMap<string, string>; problems: Problem[] } {
    const names = namesNeedingVirtualIp(mesh);
    const occupied = [...mesh.manualVirtualIps.values()].flat();
    const state = allocateVirtualIps(this.#state, names, { pinned: mesh.pinnedVirtualIps, occupied, now });
    if (JSON.stringify(state) !== JSON.stringify(this.#state)) {
      try {
        writeDurably(this.#file, `${JSON.stringify(state, null, 1)}\n`);
      } catch (error) {
        throw new StateError(this.#file, `cannot be written: ${error instanceof Error ? error.message : String(error)}`);
      }
      this.#state = state;
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

function load(file: string): VirtualIpState {
  let text: string;
  try {
    text = readRegularText(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NO_VIRTUAL_IPS;
    throw new StateError(file, `cannot be read: ${fileObstacle(file, 'read', error).reason}`, 'run as the owner of the file');
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new StateError(file, `is damaged: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`);
  }
}
