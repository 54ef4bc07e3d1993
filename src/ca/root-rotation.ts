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

/** Second step: the staged root signs; the old one is trusted until `retireAt`, when its last leaf has expired. */
export function promoteStagedRoot(state: CaState, retireAt: number): CaState {
  const roots = state.roots.map((root): StoredRoot => {
    if (root.phase === 'staged') return { ...root, phase: 'signing' };
    return root.phase === 'signing' ? { ...root, phase: 'retiring', retireAt } : root;
  });
  return { ...state, roots };
}

/** Third step: roots whose time is over are trusted no more. Returns the same object when there is none. */
export function dropRetiredRoots(state: CaState, now: number): CaState {
  const roots = state.roots.filter((root) => root.phase !== 'retiring' || (root.retireAt ?? 0) > now);
  return roots.length === state.roots.length ? state : { ...state, roots };
}
