/** A mesh file as read from disk. */
export interface MeshFile {
  readonly path: string;
  readonly text: string;
}
