/** The picture: NiiVue draws the planes, and finds what lies under a pointer; HU stay whole on the graphics card. */

const PLANES = ["axial", "coronal", "sagittal"]; // as NiiVue numbers them
const AXIS = {axial: 2, coronal: 1, sagittal: 0}; // of the index, in (x, y, z)
const MAPS = ["before", "after", "labels", "trust", "residual"];
const LINE_PX = 1.6;
const FIRST_UNIT = 11; // of those that NiiVue leaves alone

const SLICE = `#version 300 es
precision highp int;
precision highp float;
precision highp isampler3D;
uniform highp isampler3D before;
uniform highp isampler3D after;
uniform highp isampler3D labels;
uniform highp isampler3D trust;
uniform highp isampler3D residual;
uniform int axCorSag;
uniform int mainPlane;
uniform float split;
uniform vec2 hu;
uniform float spread;
uniform bool difference;
uniform bool smoothed;
uniform vec3 overlaid;
uniform vec2 most;
in vec3 texPos;
out vec4 color;

float at(isampler3D map, ivec3 v) {
  return float(texelFetch(map, clamp(v, ivec3(0), textureSize(map, 0) - 1), 0).r);
}

// Between the pixels of a slice, never between slices.
float value(isampler3D map, bool between) {
  vec3 place = vec3(1.0 - texPos.xy, texPos.z) * vec3(textureSize(map, 0));
  ivec3 here = ivec3(floor(place));
  if (!between) return at(map, here);
  ivec3 low = ivec3(floor(place - 0.5));
  vec3 part = place - 0.5 - vec3(low);
  ivec3 u = axCorSag == 2 ? ivec3(0, 1, 0) : ivec3(1, 0, 0);
  ivec3 v = axCorSag == 0 ? ivec3(0, 1, 0) : ivec3(0, 0, 1);
  float across = axCorSag == 2 ? part.y : part.x;
  float down = axCorSag == 0 ? part.y : part.z;
  ivec3 first = low * (u + v) + here * (ivec3(1) - u - v);
  return mix(mix(at(map, first), at(map, first + u), across),
    mix(at(map, first + v), at(map, first + u + v), across), down);
}

vec3 label(float number) {
  vec3 hue = abs(fract(number * 0.618034 + vec3(0.0, 0.6667, 0.3333)) * 6.0 - 3.0) - 1.0;
  return mix(vec3(1.0), clamp(hue, 0.0, 1.0), 0.85);
}

void main() {
  float shown;
  bool left = axCorSag == mainPlane && gl_FragCoord.x < split;
  if (difference && !left) {
    shown = 0.5 + 0.5 * (value(before, smoothed) - value(after, smoothed)) / spread;
  } else {
    shown = ((left ? value(before, smoothed) : value(after, smoothed)) - hu.x) / (hu.y - hu.x);
  }
  vec3 mixed = vec3(clamp(shown, 0.0, 1.0));
  if (overlaid.z > 0.0) {
    float part = clamp(value(residual, smoothed) / most.y, -1.0, 1.0);
    mixed = mix(mixed, part < 0.0 ? vec3(0.2, 0.5, 1.0) : vec3(1.0, 0.3, 0.2), overlaid.z * abs(part));
  }
  if (overlaid.y > 0.0) {
    float part = clamp(value(trust, smoothed) / most.x, 0.0, 1.0);
    mixed = mix(mixed, mix(vec3(1.0, 0.9, 0.2), vec3(0.9, 0.1, 0.3), part), overlaid.y * part);
  }
  if (overlaid.x > 0.0) {
    float number = value(labels, false);
    if (number != 0.0) mixed = mix(mixed, label(number), overlaid.x);
  }
  color = vec4(mixed, 1.0);
}`;

/** Start NiiVue, which the page carries packed; its text runs by the hash in the page's policy. */
async function loadNiivue() {
  if (!globalThis.niivue) {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await inflate(fromText(document.getElementById("niivue-packed").textContent)));
    document.head.append(script);
  }
  return globalThis.niivue;
}

class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.plane = "axial";
    this.zoom = 1;
    this.centre = [0, 0, 0]; // mm from the middle of the volume, of what is in the middle of a plane
    this.textures = [];
  }

  async start() {
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe) {
      throw new Error("this browser has no WebGL 2, which pictures are drawn with; turn hardware acceleration on, or open " +
        "the page in another browser");
    }
    probe.getExtension("WEBGL_lose_context")?.loseContext();
    const {Niivue, NVImage} = await loadNiivue();
    this.NVImage = NVImage;
    this.nv = new Niivue({
      ...{logLevel: "error", interactive: false, dragAndDropEnabled: false, isAntiAlias: false},
      ...{isRadiologicalConvention: true, sagittalNoseLeft: true, showAllOrientationMarkers: true},
      ...{backColor: [0, 0, 0, 1], fontColor: [0.8, 0.88, 0.92, 1], fontMinPx: 11, fontSizeScaling: 0.3},
      ...{crosshairColor: [0.38, 0.78, 1, 0.8], crosshairWidthUnit: "mm", loadingText: ""},
    });
    await this.nv.attachToCanvas(this.canvas);
    this.canvas.removeAttribute("tabindex");
    this.gl = this.nv.gl;
  }

  /** Show maps by name (see MAPS) on a grid. */
  async show(grid, maps) {
    const {gl, nv} = this;
    const limit = gl.getParameter(gl.MAX_3D_TEXTURE_SIZE);
    if (Math.max(...grid.counts) > limit) {
      throw new Error(`it has more than ${limit} voxels along one side, the most that this device draws`);
    }
    const box = await this.NVImage.new(grid.nifti(), "grid.nii");
    nv.drawScene = () => {}; // until all that it needs is there
    for (const texture of this.textures) gl.deleteTexture(texture);
    while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
    nv.addVolume(box);
    if (!nv.customSliceShader) nv.setCustomSliceShader(SLICE);
    this.textures = [];
    MAPS.forEach((name, i) => {
      if (maps[name]) this.textures.push(this.upload(FIRST_UNIT + i, maps[name]));
      this.set("uniform1i", name, FIRST_UNIT + (maps[name] ? i : MAPS.indexOf("after")));
    });
    this.set("uniform2f", "most", ...["trust", "residual"].map((name) => (maps[name] ? maps[name].largest() : 1)));
    delete nv.drawScene;
    this.grid = grid;
    this.home();
  }

  upload(unit, voxels) {
    const {gl} = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_3D, texture);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_3D, filter, gl.NEAREST);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texStorage3D(gl.TEXTURE_3D, 1, gl.R16I, voxels.nx, voxels.ny, voxels.nz);
    const slice = voxels.nx * voxels.ny;
    for (let z = 0; z < voxels.nz; z++) { // one by one, so that the driver copies little at a time
      const part = voxels.data.subarray(z * slice, (z + 1) * slice);
      gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, z, voxels.nx, voxels.ny, 1, gl.RED_INTEGER, gl.SHORT, part);
    }
    gl.activeTexture(gl.TEXTURE0);
    if (gl.getError() === gl.OUT_OF_MEMORY) throw new Error("the graphics card has too little memory; give --max-mb less");
    return texture;
  }

  /** Set a value of the shader, by the call of WebGL for it. */
  set(call, name, ...values) {
    const {program, uniforms} = this.nv.customSliceShader;
    this.gl.useProgram(program);
    this.gl[call](uniforms[name], ...values);
  }

  home() {
    this.zoom = 1;
    this.centre = [0, 0, 0];
  }

  /** Place the chosen plane and the two others: beside it, or below it where the canvas is upright. */
  arrange() {
    const tall = this.canvas.clientHeight > 0.9 * this.canvas.clientWidth;
    const [first, ...rest] = [PLANES.indexOf(this.plane), ...PLANES.keys()].filter((n, i, all) => all.indexOf(n) === i);
    const places = tall ? [[0, 0, 1, 0.69], [0, 0.7, 0.495, 0.3], [0.505, 0.7, 0.495, 0.3]] :
      [[0, 0, 0.745, 1], [0.755, 0, 0.245, 0.495], [0.755, 0.505, 0.245, 0.495]];
    this.nv.customLayout = [first, ...rest].map((sliceType, i) => ({sliceType, position: places[i]}));
  }

  /** Draw the planes through a voxel. */
  draw(index, {hu, spread, difference, smoothed, lines, overlaid, split}) {
    this.arrange();
    const pan = this.centre.map((mm) => -mm * this.zoom);
    this.nv.scene.pan2Dxyzmm = [...pan, this.zoom];
    this.nv.scene.crosshairPos = this.grid.fraction(index);
    this.set("uniform1i", "mainPlane", PLANES.indexOf(this.plane));
    this.set("uniform2f", "hu", ...hu);
    this.set("uniform1f", "spread", spread);
    this.set("uniform1i", "difference", difference);
    this.set("uniform1i", "smoothed", smoothed);
    this.set("uniform3f", "overlaid", ...overlaid);
    const place = () => { // what hangs on where the plane was drawn
      const [left, , width] = this.box(this.plane) || [0, 0, this.canvas.width];
      const side = this.grid.sizes[this.plane === "sagittal" ? 1 : 0];
      this.nv.opts.crosshairWidth = lines ? (LINE_PX * side) / width / this.zoom : 0;
      if (this.nv.crosshairs3D) this.nv.crosshairs3D.mm[0] = NaN; // made again, of this width
      this.set("uniform1f", "split", this.line(split));
      return `${left} ${width}`;
    };
    const before = place();
    this.nv.drawScene();
    if (place() !== before) this.nv.drawScene(); // it lies elsewhere than at the last time
  }

  /** Return where the line between before and after is drawn, in the canvas's own pixels. */
  line(split) {
    const [left, , width] = this.box(this.plane) || [0, 0, 0, 0];
    return split > 0 ? left + split * width : 0;
  }

  /** Return where a plane was drawn: left, top, width, height in the canvas's own pixels. */
  box(plane) {
    return this.nv.screenSlices.find((slice) => PLANES[slice.axCorSag] === plane)?.leftTopWidthHeight;
  }

  /** Return the same in the page's pixels, from the canvas's corner. */
  boxInPage(plane) {
    const scale = this.canvas.clientWidth / this.canvas.width;
    return (this.box(plane) || [0, 0, 0, 0]).map((n) => n * scale);
  }

  /** Return what is under a pointer: the plane, whether it is the chosen one, and the voxel; null beside all planes. */
  pick(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / bounds.width;
    const [x, y] = [(event.clientX - bounds.left) * scale, (event.clientY - bounds.top) * scale];
    const number = this.nv.screenSlices.findIndex(({leftTopWidthHeight: [left, top, width, height]}) =>
      x >= left && y >= top && x < left + width && y < top + height);
    if (number < 0) return null;
    const plane = PLANES[this.nv.screenSlices[number].axCorSag];
    const fraction = [...this.nv.screenXY2TextureFrac(x, y, number, false)];
    const inside = fraction.every((part) => part >= 0 && part < 1);
    return {plane, main: plane === this.plane, fraction, index: inside ? this.grid.index(fraction) : null};
  }

  /** Zoom by a factor; what is at a fraction of the volume stays where it is, else the middle does. */
  zoomBy(factor, fraction = null) {
    const zoom = Math.min(20, Math.max(0.5, this.zoom * factor));
    if (fraction) {
      this.centre = this.centre.map((mm, i) => {
        const fixed = (fraction[i] - 0.5) * this.grid.sizes[i];
        return fixed - ((fixed - mm) * this.zoom) / zoom;
      });
    }
    this.zoom = zoom;
  }

  /** Move what is seen by pixels of the page, in a plane. */
  pan(plane, right, down) {
    const [u, v] = {axial: [0, 1], coronal: [0, 2], sagittal: [1, 2]}[plane];
    const mm = this.grid.sizes[u] / this.boxInPage(plane)[2] / this.zoom;
    this.centre[u] += right * mm; // the patient's left and back are on the right
    this.centre[v] += down * mm;
  }
}
