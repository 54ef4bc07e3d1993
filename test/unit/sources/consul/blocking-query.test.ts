import { describe, expect, it } from 'vitest';
import { afterAnswer, afterFailure, FIRST_QUERY } from '../../../../src/sources/consul/blocking-query.ts';

const at = (index: number) => afterAnswer(FIRST_QUERY, index, 0, true).query;

describe('blocking queries', () => {
  it('asks without an index first, then with the one it was given', () => {
    expect(FIRST_QUERY.index).toBe(0);
    expect(at(7)).toMatchObject({ index: 7, seen: 7, failures: 0 });
    expect(afterAnswer(FIRST_QUERY, 7, 0, true).fresh).toBe(true);
  });

  it('a wait that ran out says nothing new', () => {
    const next = afterAnswer(at(7), 7, 30_000, false);
    expect(next).toMatchObject({ fresh: false, delayMs: 0, query: { index: 7 } });
  });

  it('an index that goes back is taken and asked for again from the beginning', () => {
    expect(afterAnswer(at(7), 3, 1_000, true)).toMatchObject({ fresh: true, query: { index: 0, seen: 3 } });
  });

  it('an answer before its time with nothing new in it is asked for again without an index', () => {
    const next = afterAnswer(at(7), 7, 1_000, true);
    expect(next).toMatchObject({ fresh: false, query: { index: 0, seen: 7 } });
    expect(afterAnswer(next.query, 7, 1_100, true)).toMatchObject({ fresh: false, query: { index: 7 } });
    expect(afterAnswer(next.query, 4, 1_100, true)).toMatchObject({ fresh: true, query: { index: 4 } });
  });

  it.each([0, -1, Number.NaN])('index %s makes it a poll', (index) => {
    expect(afterAnswer(at(7), index, 5_000, true)).toMatchObject({ fresh: true, delayMs: 1_000, query: { index: 0 } });
  });

  it('slows down when answers follow each other, and never holds up the first after a rest', () => {
    const first = afterAnswer(at(7), 8, 5_000, true);
    expect(first.delayMs).toBe(0);
    expect(afterAnswer(first.query, 9, 5_010, true).delayMs).toBe(90);
  });

  it('backs off with jitter up to ten seconds, and starts from the beginning after a failure', () => {
    let query = at(7);
    const longest: number[] = [];
    for (let failure = 0; failure < 8; failure += 1) {
      longest.push(Math.round(afterFailure(query, 0.999_999).delayMs));
      expect(afterFailure(query, 0).delayMs).toBeCloseTo((longest.at(-1) ?? 0) / 2, 0);
      ({ query } = afterFailure(query, 0));
    }
    expect(longest).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    expect(query).toMatchObject({ index: 0, seen: undefined, failures: 8 });
    expect(afterAnswer(query, 7, 60_000, true)).toMatchObject({ fresh: true, query: { failures: 0 } });
  });

  it('waits as long as it is told to (429)', () => {
    expect(afterFailure(at(7), 0, 20_000).delayMs).toBe(20_000);
  });
});
