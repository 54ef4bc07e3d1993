import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';

/** What stands under the name is no regular file, or is larger than its reader takes. */
export class UnfitFileError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'UnfitFileError';
  }
}

/** Enough for every certificate, token, key and state file of adsum. */
const MOST_BYTES = 64 * 1024 * 1024;

const CHUNK_BYTES = 64 * 1024;

/**
 * The content of a regular file. Opening never waits: a FIFO, a socket, a device and a folder are refused, and so is a file of
 * more than `mostBytes`, whatever its size claims to be. What is checked is what is read: the open file, not the name.
 * @param options.mostBytes default 64 MiB
 * @param options.within the real path of a folder; a file that is elsewhere, because a link leads there, is refused
 * @throws UnfitFileError, or the error of the file system
 */
export function readRegularFile(file: string, options: { mostBytes?: number; within?: string } = {}): Buffer {
  const { mostBytes = MOST_BYTES, within } = options;
  // Looked at before it is opened as well, because opening some devices has effects.
  demandRegular(statSync(file));
  const handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = fstatSync(handle);
    demandRegular(status);
    if (within !== undefined && !isWithin(realPathOf(handle, file), within)) throw new UnfitFileError('a link leads out of its folder');
    if (status.size > mostBytes) throw tooLarge(mostBytes);
    return readAtMost(handle, status.size, mostBytes);
  } finally {
    closeSync(handle);
  }
}

/** As `readRegularFile`, as text; bytes that are no UTF-8 become replacement characters. */
export function readRegularText(file: string, mostBytes = MOST_BYTES): string {
  return readRegularFile(file, { mostBytes }).toString('utf8');
}

/** Of the open file; where there is no /proc, of the name. */
function realPathOf(handle: number, file: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${handle}`);
  } catch {
    return realpathSync(file);
  }
}

function isWithin(file: string, folder: string): boolean {
  return file.startsWith(folder.endsWith(path.sep) ? folder : `${folder}${path.sep}`);
}

function demandRegular(status: { isFile(): boolean; isDirectory(): boolean }): void {
  if (!status.isFile()) throw new UnfitFileError(status.isDirectory() ? 'it is a folder' : 'it is no regular file');
}

/** The size is only a first guess: files of /proc say 0, and a file may grow while it is read. */
function readAtMost(handle: number, size: number, mostBytes: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, size - total + 1));
    const count = readSync(handle, chunk);
    if (count === 0) return Buffer.concat(chunks, total);
    chunks.push(chunk.subarray(0, count));
    total += count;
    if (total > mostBytes) throw tooLarge(mostBytes);
  }
}

function tooLarge(mostBytes: number): UnfitFileError {
  return new UnfitFileError(`it is larger than ${mostBytes / 1024 / 1024} MiB`);
}
