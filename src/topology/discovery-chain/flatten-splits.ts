import type { HttpHeaderModifiers } from '../../mesh/schema/http-header-modifiers.ts';
import type { ChainSplit } from './chain.ts';

/**
 * Weights are 32-bit floats in Consul, in steps of 0.01; calculating in the same width gives the same rounding, so that three
 * times 33.33 % of a split make the same integers here and there.
 */
const float = Math.fround;

/** To the nearest 0.01 %. */
export function normalizeWeight(weight: number): number {
  return float(Math.round(float(float(weight) * 100)) / 100);
}

/** Envoy counts in whole numbers: hundredths of a percent. */
export function envoyWeight(weight: number): number {
  return Math.trunc(float(float(weight) * 100));
}

/** What a split into another splitter comes to: that one's splits, with the share and the header changes of both. */
export function multiplySplits(outer: ChainSplit, inner: readonly ChainSplit[]): ChainSplit[] {
  return inner.map((split) => {
    // A request passes the outer one first, a response the inner one; what comes later wins.
    const request = mergeHeaders(outer.request_headers, split.request_headers);
    const response = mergeHeaders(split.response_headers, outer.response_headers);
    return {
      weight: normalizeWeight(float(float(outer.weight * split.weight) / 100)),
      ...(request && { request_headers: request }),
      ...(response && { response_headers: response }),
      next_node: split.next_node,
    };
  });
}

function mergeHeaders(first: HttpHeaderModifiers | undefined, second: HttpHeaderModifiers | undefined): HttpHeaderModifiers | undefined {
  if (!first || !second) return first ?? second;
  return {
    add: { ...first.add, ...second.add },
    set: { ...first.set, ...second.set },
    remove: [...new Set([...first.remove, ...second.remove])],
  };
}
