/** A volume as the page holds it, and the way from a text block to voxels. */

class Volume {
  /**
   * @param {{shape: number[], spacing_mm: number[]}} facts  both in the order z, y, x; voxels lie in LPS:
   *   slices from the feet, rows to the patient's back, columns to the patient's left.
   * @param {Uint16Array} levels
   */
  constructor(facts, levels) {
    this.facts = facts;
    this.levels = levels;
  }

  /**
   * Tell how a plane lies in the voxels.
   * @returns {{count, width, height, widthMm, heightMm, edges, first: function(number): number, right, down}}
   *   `first(index)` is the voxel in the upper left corner, `right` and `down` the ways to the next in a row and column.
   */
  plane(name) {
    const [nz, ny, nx] = this.facts.shape;
    const [dz, dy, dx] = this.facts.spacing_mm;
    const slice = ny * nx;
    if (name === "axial") {
      return {count: nz, width: nx, height: ny, widthMm: nx * dx, heightMm: ny * dy,
        edges: ["R", "L", "A", "P"], first: (index) => index * slice, right: 1, down: nx};
    }
    if (name === "coronal") {
      return {count: ny, width: nx, height: nz, widthMm: nx * dx, heightMm: nz * dz,
        edges: ["R", "L", "S", "I"], first: (index) => (nz - 1) * slice + index * nx, right: 1, down: -slice};
    }
    return {count: nx, width: ny, height: nz, widthMm: ny * dy, heightMm: nz * dz,
      edges: ["A", "P", "S", "I"], first: (index) => (nz - 1) * slice + index, right: nx, down: -slice};
  }

  /** Return (x, y, z) of a pixel of a plane. */
  voxel(name, index, column, row) {
    const nz = this.facts.shape[0];
    if (name === "axial") return [column, row, index];
    if (name === "coronal") return [column, index, nz - 1 - row];
    return [index, column, nz - 1 - row];
  }

  level([x, y, z]) {
    const [, ny, nx] = this.facts.shape;
    return this.levels[(z * ny + y) * nx + x];
  }
}

/** Undo `ctgrid.runs.report.html.block.pack`: base64, zlib, low and high bytes, signs, differences from the slice below. */
async function unpack(text, [nz, ny, nx]) {
  const binary = atob(text);
  const packed = new Uint8Array(binary.length);
  for (let i = 0; i < packed.length; i++) packed[i] = binary.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = nz * ny * nx;
  if (planes.length !== 2 * count) throw new Error("the volume in this page is damaged");
  const levels = new Uint16Array(count);
  const slice = ny * nx;
  for (let i = 0; i < count; i++) {
    const code = planes[i] | (planes[count + i] << 8);
    const step = code & 1 ? -((code + 1) >> 1) : code >> 1;
    levels[i] = (i < slice ? 0 : levels[i - slice]) + step;
  }
  return levels;
}
