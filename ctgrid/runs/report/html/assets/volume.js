/** Voxels as a page holds them, and the way from a text block or an address to them. */

/** One map on a scene's grid: HU, labels, trust or residual; index (x, y, z) as in the volume turned to LPS. */
class Voxels {
  constructor([nz, ny, nx], data, slope) {
    Object.assign(this, {nz, ny, nx, data, slope});
  }

  at([x, y, z]) {
    return this.data[(z * this.ny + y) * this.nx + x] * this.slope;
  }

  largest() {
    let most = 1;
    for (const value of this.data) if (value > most || -value > most) most = Math.abs(value);
    return most;
  }
}

/** Read the voxels of a layer: out of the page, or from where the page came from. */
async function loadVoxels({id, url, packed, slope}, shape) {
  let bytes;
  if (url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`ctgrid view does not answer for it (${answer.status}); is it still running`);
    bytes = await answer.arrayBuffer();
  } else {
    bytes = fromText(document.getElementById(id).textContent).buffer;
  }
  const data = packed ? unpack(await inflate(bytes), shape) : new Int16Array(bytes);
  if (data.length !== shape[0] * shape[1] * shape[2]) throw new Error("its data are damaged");
  return new Voxels(shape, data, slope);
}

function fromText(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undo `ctgrid.runs.report.html.block.pack`. */
function unpack(bytes, [nz, ny, nx]) {
  const slice = ny * nx;
  if (bytes.length !== 2 * nz * slice) throw new Error("its data are damaged");
  const data = new Int16Array(nz * slice);
  for (let z = 0, out = 0; z < nz; z++) {
    for (let row = 0, at = 2 * z * slice; row < ny; row++) {
      for (let x = 0, value = 0; x < nx; x++, at++, out++) {
        const code = bytes[at] | (bytes[at + slice] << 8);
        value += (code >> 1) ^ -(code & 1);
        data[out] = value;
      }
    }
  }
  return data;
}

/** A scene's grid: between voxels and the 0 to 1 from left, back and feet that NiiVue counts in. */
class Grid {
  constructor(facts) {
    Object.assign(this, facts);
    const [nz, ny, nx] = facts.shape;
    const [dz, dy, dx] = facts.spacing_mm;
    this.counts = [nx, ny, nz];
    this.spacing = [dx, dy, dz * facts.every];
    this.sizes = this.counts.map((n, i) => n * this.spacing[i]); // mm
  }

  fraction([x, y, z]) {
    const [nx, ny, nz] = this.counts;
    return [1 - (x + 0.5) / nx, 1 - (y + 0.5) / ny, (z + 0.5) / nz];
  }

  index([right, front, up]) {
    const at = [1 - right, 1 - front, up].map((part, i) => Math.floor(part * this.counts[i]));
    return at.map((n, i) => Math.min(this.counts[i] - 1, Math.max(0, n)));
  }

  /** Return the place of a voxel in the whole volume, as arrays and pictures count: from 0. */
  whole([x, y, z]) {
    return [x, y, z * this.every];
  }

  mm(index) {
    const place = this.whole(index);
    return this.affine.slice(0, 3).map((row) => row[3] + place.reduce((sum, n, i) => sum + n * row[i], 0));
  }

  /** Return a NIfTI of two voxels along each axis that fills the same box, its middle at 0: all that NiiVue has to know. */
  nifti() {
    const buffer = new ArrayBuffer(352 + 16);
    const view = new DataView(buffer);
    const steps = this.sizes.map((mm) => mm / 2);
    view.setInt32(0, 348, true);
    [3, 2, 2, 2, 1, 1, 1, 1].forEach((n, i) => view.setInt16(40 + 2 * i, n, true));
    view.setInt16(70, 4, true); // int16
    view.setInt16(72, 16, true);
    [1, ...steps].forEach((mm, i) => view.setFloat32(76 + 4 * i, mm, true));
    view.setFloat32(108, 352, true);
    view.setFloat32(112, 1, true);
    view.setFloat32(124, 1, true); // cal_max
    view.setInt16(254, 1, true); // sform
    steps.forEach((mm, i) => {
      view.setFloat32(280 + 16 * i + 4 * i, mm, true);
      view.setFloat32(280 + 16 * i + 12, -mm / 2, true);
    });
    [0x6e, 0x2b, 0x31].forEach((letter, i) => view.setUint8(344 + i, letter));
    return buffer;
  }
}

/** Return mean and standard deviation in a disc of a plane around a voxel. */
function disc(voxels, grid, axis, index, radiusMm) {
  const [u, v] = [0, 1, 2].filter((i) => i !== axis);
  const reach = (i) => Math.floor(radiusMm / grid.spacing[i]);
  let count = 0, sum = 0, squares = 0;
  for (let j = -reach(v); j <= reach(v); j++) {
    for (let i = -reach(u); i <= reach(u); i++) {
      if ((i * grid.spacing[u]) ** 2 + (j * grid.spacing[v]) ** 2 > radiusMm ** 2) continue;
      const at = [...index];
      at[u] += i;
      at[v] += j;
      if (at[u] < 0 || at[v] < 0 || at[u] >= grid.counts[u] || at[v] >= grid.counts[v]) continue;
      const value = voxels.at(at);
      count += 1;
      sum += value;
      squares += value * value;
    }
  }
  const mean = sum / count;
  return {mean, deviation: Math.sqrt(Math.max(0, squares / count - mean * mean)), count};
}
