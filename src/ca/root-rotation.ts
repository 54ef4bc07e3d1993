import type { CaState, StoredRoot } from './ca-state.ts';

/** The root that signs; every valid state has exactly one. */
export function signingRoot(state: CaState): StoredRoot {
  const root = state.roots.find(({ phase }) => phase === 'signing');
  if (!root) throw new Error('a CA state without a signing root was accepted');
  return root;
}

export function stagedRoot(state: CaState): StoredRoot | undefined {
  return state.roots.find(({ phase }) => phase === 'staged');
}

/** First step of a rotation: the new root is trusted, the old one still signs. */
export function stageRoot(state: CaState, root: StoredRoot): CaState {
  return { ...state, roots: [...state.roots, { ...root, phase: 'staged' }] };
}

/** Second step: the staged root signs; the old one is trusted for `retireInMs`, until its last leaf has expired. */
export function promoteStagedRoot(state: CaState, retireInMs: number): CaState {
  const roots = state.roots.map((root): StoredRoot => {
    if (root.phase === 'staged') return { ...root, phase: 'signing' };
    return root.phase === 'signing' ? { ...root, phase: 'retiring', retireInMs } : root;
  });
  return { ...state, roots };
}

/** Third step: roots whose time is over are trusted no more. Returns the same object when there is none. */
export function dropRetiredRoots(state: CaState): CaState {
  const roots = state.roots.filter((root) => root.phase !== 'retiring' || (root.retireInMs ?? 0) > 0);
  return roots.length === state.roots.length ? state : { ...state, roots };
}

/** Time has passed for the roots that retire. Returns the same object when there is none. */
export function countDown(state: CaState, elapsedMs: number): CaState {
  if (elapsedMs <= 0 || !state.roots.some(({ phase }) => phase === 'retiring')) return state;
  const roots = state.roots.map((root) => (root.phase === 'retiring' ? { ...root, retireInMs: (root.retireInMs ?? 0) - elapsedMs } : root));
  return { ...state, roots };
}

/** A new root that cannot sign after all is given up. */
export function dropStagedRoot(state: CaState): CaState {
  return { ...state, roots: state.roots.filter(({ phase }) => phase !== 'staged') };
}

/** A state of an earlier version, which kept when a root is dropped and not how long it is kept. */
export function withCountdowns(state: CaState, now: number, longestMs: number): CaState {
  const roots = state.roots.map(({ retireAt, ...root }) =>
    root.phase === 'retiring' && root.retireInMs === undefined && retireAt !== undefined
      ? { ...root, retireInMs: Math.min(longestMs, Math.max(0, retireAt - now)) }
      : root,
  );
  return { ...state, roots };
}
