import type { z } from 'zod';
import { section, textList, textMap } from './field.ts';

/** Changes to the headers of a request or a response. */
export const httpHeaderModifiers = (description: string) =>
  section(description, {
    add: textMap('Added beside what is there.'),
    set: textMap('Set, replacing what is there.'),
    remove: textList('Removed.'),
  });

export type HttpHeaderModifiers = NonNullable<z.output<ReturnType<typeof httpHeaderModifiers>>>;
