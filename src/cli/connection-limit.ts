import { readFileSync } from 'node:fs';

/** Far above the ordinary traffic of one host, yet it bounds Envoy's memory. */
const MOST_CONNECTIONS = 100_000;
/**
 * A connection takes a descriptor on each side. The third that is left is for requests of HTTP/2, many of which come on one connection
 * and leave on connections of their own, and for Envoy's own files.
 */
const DESCRIPTORS_PER_CONNECTION = 3;

/** How many downstream connections an Envoy with so many descriptors may hold. Without a descriptor it crashes instead of refusing. */
export function connectionsFor(openFiles: number): number {
  return Math.max(1, Math.min(MOST_CONNECTIONS, Math.floor(openFiles / DESCRIPTORS_PER_CONNECTION)));
}

/** What Linux grants where nothing is set. */
const USUAL_LIMIT = 1024;

/**
 * RLIMIT_NOFILE as Envoy will have it when it is started from here: the hard limit, to which Node and Envoy both raise the soft one.
 * Envoy may be started elsewhere, under another limit: then `--max-downstream-connections` says what holds there.
 */
export function openFileLimit(readLimits: () => string = () => readFileSync('/proc/self/limits', 'utf8')): number {
  let limits: string;
  try {
    limits = readLimits();
  } catch {
    return USUAL_LIMIT;
  }
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard ?? USUAL_LIMIT);
}
