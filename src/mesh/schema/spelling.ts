/** `MeshDestinationsOnly`, `mesh_destinations_only` and `meshDestinationsOnly` are one key. Source: Consul's decoding of HCL and JSON. */
export function foldKey(key: string): string {
  return key.replaceAll('_', '').toLowerCase();
}

/** A word may differ from the meant one in a third of its letters, and still be suggested. */
const LETTERS_PER_SLIP = 3;

/** Longer than any word known anywhere; a longer one is no slip of the pen, and comparing costs its length. */
const LONGEST_WORD = 100;

/** The known word that was probably meant. */
export function closestWord(word: string, known: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined;
  const folded = foldKey(word);
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(folded, foldKey(candidate));
    if (distance < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { word: candidate, distance };
  }
  const allowed = Math.max(1, Math.floor(folded.length / LETTERS_PER_SLIP));
  return best && best.distance <= allowed ? best.word : undefined;
}

/** Levenshtein's: how many letters must be put in, taken out or changed. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...to].entries()) {
      next.push(Math.min((next[column] ?? 0) + 1, (row[column + 1] ?? 0) + 1, (row[column] ?? 0) + (letter === other ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
