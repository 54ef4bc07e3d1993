import type { Clock } from '../runtime/clock.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import type { Logger } from '../runtime/logger.ts';
import { readRegularText } from '../runtime/regular-file.ts';
import { openSealedJson, sealJson } from '../runtime/sealed-json.ts';

export interface KeptCopyOptions<Content> {
  readonly file: string;
  /** What it is a copy of, for the log. */
  readonly of: string;
  /** How long a burst of changes may go on before the copy is written, in milliseconds. */
  readonly delayMs: number;
  /** Reads what `save` wrote; undefined when it is of no use any more. */
  readonly parse: (json: unknown) => Content | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 60_000;
/** A copy holds a whole mesh. */
const MOST_COPY_BYTES = 512 * 1024 * 1024;

/** The last good state, in the data dir: a fallback and never the store, so it may lag a little and its loss is no error. */
export class KeptCopy<Content> {
  readonly #options: KeptCopyOptions<Content>;
  #pending: (() => object) | undefined;
  #cancel: () => void = () => {};

  constructor(options: KeptCopyOptions<Content>) {
    this.#options = options;
  }

  /** Undefined when there is none, or none that can be read. */
  load(): Content | undefined {
    const { file, of, parse, logger } = this.#options;
    try {
      return parse(openSealedJson(readRegularText(file, MOST_COPY_BYTES)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') logger.warn({ file, error: String(error) }, `the copy of ${of} cannot be read`);
      return undefined;
    }
  }

  /** @param content makes what is written, when it is written */
  save(content: () => object): void {
    if (!this.#pending) this.#cancel = this.#options.clock.after(this.#options.delayMs, () => this.flush());
    this.#pending = content;
  }

  /** What could not be written is tried again, unless something newer comes first. */
  #retry(content: () => object): void {
    this.#pending = content;
    this.#cancel = this.#options.clock.after(RETRY_MS, () => this.flush());
  }

  /** Writes what waits, at once. */
  flush(): void {
    this.#cancel();
    const content = this.#pending;
    this.#pending = undefined;
    if (!content) return;
    const { file, of, logger } = this.#options;
    try {
      writeDurably(file, sealJson(content()));
    } catch (error) {
      logger.warn({ file, error: String(error) }, `the copy of ${of} cannot be written`);
      this.#retry(content);
    }
  }
}
