/** The slice viewer: controls, keys and pointers; one for each element with a `data-viewer`. */

const PLANES = ["axial", "coronal", "sagittal"];
const AXIS = {axial: 2, coronal: 1, sagittal: 0}; // of the index, in (x, y, z)

class Viewer {
  constructor(root) {
    this.root = root;
    const identity = root.dataset.viewer;
    Object.assign(this, JSON.parse(document.getElementById(`${identity}-data`).textContent));
    this.main = this.part("main");
    this.small = [...root.querySelectorAll('[data-role="small"]')];
    this.control = {};
    for (const name of ["volume", "plane", "window", "scrubber", "slider"]) {
      this.control[name] = root.querySelector(`[data-testid="${name}"]`);
    }
    this.readout = root.querySelector('[data-testid="hu-readout"]');
    this.listen();
    this.open(0);
  }

  part(role) {
    return this.root.querySelector(`[data-role="${role}"]`);
  }

  /** Show a scene; its voxels are unpacked at the first time and kept while it is shown. */
  async open(number) {
    const scene = this.scenes[number];
    this.opening = number;
    delete this.root.dataset.ready;
    this.say("Unpacking the volume …");
    try {
      if (typeof DecompressionStream === "undefined") {
        throw new Error("this browser is too old to unpack volumes (it has no DecompressionStream)");
      }
      await new Promise((resolve) => setTimeout(resolve)); // lets the message appear
      const load = async (key) => key &&
        new Volume(scene, await unpack(document.getElementById(key).textContent, scene.shape));
      const layers = [await load(scene.blocks.before), await load(scene.blocks.after)].filter(Boolean);
      if (this.opening === number) this.show(scene, layers);
    } catch (error) {
      this.say(`The volume cannot be shown: ${error.message}.`);
      this.readout.textContent = "";
    }
  }

  show(scene, layers) {
    const [nz, ny, nx] = scene.shape;
    const same = this.scene && this.scene.shape.join() === scene.shape.join();
    if (!same) this.place = [nx >> 1, ny >> 1, nz >> 1];
    this.scene = scene;
    this.layers = layers;
    this.pair = layers.length === 2;
    this.control.slider.value = this.pair ? 50 : 100;
    this.part("slider-label").textContent = this.pair ? "Before" : "Split";
    this.part("slider-end").hidden = !this.pair;
    this.part("second-window").hidden = this.pair;
    this.part("tag-before").textContent = this.pair ? "before" : "";
    this.part("tag-after").textContent = this.pair ? "after" : "";
    const size = (shape, spacing) => `${[...shape].reverse().join(" × ")} voxels of ` +
      `${[...spacing].reverse().map((mm) => mm.toFixed(2)).join(" × ")} mm`;
    const shown = scene.shape.join() === scene.whole_shape.join() ? "shown whole" :
      `shown as ${[...scene.shape].reverse().join(" × ")}`;
    this.part("facts").textContent = [`${size(scene.whole_shape, scene.whole_spacing_mm)}, ${shown}`,
      "HU to the nearest 4 in lung, 2 in soft tissue and 8 in bone", ...scene.notes].join(" · ");
    this.say("");
    this.choosePlane();
    this.root.dataset.ready = "true";
  }

  say(message) {
    const place = this.part("message");
    place.textContent = message;
    place.hidden = !message;
  }

  get plane() {
    return this.control.plane.value;
  }

  get index() {
    return this.place[AXIS[this.plane]];
  }

  set index(value) {
    const {count} = this.layers[0].plane(this.plane);
    this.place[AXIS[this.plane]] = Math.min(count - 1, Math.max(0, value));
    this.control.scrubber.value = this.index;
    this.draw();
  }

  choosePlane() {
    if (!this.layers) return;
    const {count, edges} = this.layers[0].plane(this.plane);
    this.control.scrubber.max = count - 1;
    this.control.scrubber.value = this.index;
    ["left", "right", "top", "bottom"].forEach((side, i) => {
      this.root.querySelector(`.edge.${side}`).textContent = edges[i];
    });
    this.others = PLANES.filter((name) => name !== this.plane);
    this.root.querySelectorAll('[data-role="swap"]').forEach((button, i) => {
      button.textContent = this.control.plane.querySelector(`[value="${this.others[i]}"]`).textContent;
    });
    this.draw();
  }

  /** Draw at the next frame, however often asked. */
  draw() {
    if (!this.layers || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  paint() {
    const chosen = this.control.window.value;
    const second = this.pair ? chosen : this.part("second-window").value;
    const tables = [chosen, second].map((name) => grays(this.hu, this.windows[name]));
    const split = this.control.slider.value / 100;
    const layers = [this.layers[0], this.layers[this.layers.length - 1]];
    const needed = split < 1 ? [0, 1] : [0];
    const images = needed.map((i) => planeImage(layers[i], this.plane, this.index, tables[i]));
    this.drawn = drawPlane(this.main, layers[0].plane(this.plane), images, split);
    this.others.forEach((name, i) => {
      const last = layers[1];
      const image = planeImage(last, name, this.place[AXIS[name]], tables[0]);
      const place = drawPlane(this.small[i], last.plane(name), [image], 1);
      drawCross(this.small[i], place, this.fractions(name));
      this.small[i].setAttribute("aria-label", `${name} plane ${this.place[AXIS[name]] + 1}`);
    });
    this.tell(split);
  }

  /** Return where the two other planes cut a plane: across and down, 0 to 1. */
  fractions(name) {
    const [nz, ny, nx] = this.scene.shape;
    const [x, y, z] = [(this.place[0] + 0.5) / nx, (this.place[1] + 0.5) / ny, (this.place[2] + 0.5) / nz];
    return {axial: [x, y], coronal: [x, 1 - z], sagittal: [y, 1 - z]}[name];
  }

  /** Say in words what is drawn. */
  tell(split) {
    const {count} = this.layers[0].plane(this.plane);
    const text = `${this.index + 1} / ${count}`;
    this.part("slice-number").textContent = text;
    this.main.setAttribute("aria-label", `${this.scene.name}, ${this.plane} slice ${text}`);
    this.part("tag-before").hidden = !this.pair || split < 0.12;
    this.part("tag-after").hidden = !this.pair || split > 0.88;
    this.readHu(this.pointer);
  }

  /** Return the pixel of a plane under a pointer, or null beside it. */
  pixelAt(canvas, name, event) {
    const box = canvas.getBoundingClientRect();
    const plane = this.layers[0].plane(name);
    const place = placeOf(canvas, plane);
    const across = ((event.clientX - box.left) * (canvas.width / box.width) - place.x) / place.width;
    const down = ((event.clientY - box.top) * (canvas.height / box.height) - place.y) / place.height;
    if (!(across >= 0 && across < 1 && down >= 0 && down < 1)) return null;
    return {across, column: Math.floor(across * plane.width), row: Math.floor(down * plane.height)};
  }

  readHu(event) {
    this.pointer = event;
    const pixel = event && this.pixelAt(this.main, this.plane, event);
    if (!pixel) {
      this.readout.textContent = "Point at the picture to read HU.";
      return;
    }
    const voxel = this.layers[0].voxel(this.plane, this.index, pixel.column, pixel.row);
    const values = this.layers.map((layer) => `${this.hu[layer.level(voxel)]} HU`.replace("-", "−"));
    const [nz, ny, nx] = this.scene.shape;
    const [, wholeY, wholeX] = this.scene.whole_shape;
    const whole = [Math.floor((voxel[0] + 0.5) * wholeX / nx), Math.floor((voxel[1] + 0.5) * wholeY / ny),
      voxel[2] * this.scene.every];
    const shown = this.pair ? `before ${values[0]}, after ${values[1]}` : values[0];
    this.readout.textContent = `${shown} at x ${whole[0]}, y ${whole[1]}, z ${whole[2]}`;
  }

  moveTo(name, pixel) {
    this.place = this.layers[0].voxel(name, this.place[AXIS[name]], pixel.column, pixel.row);
    this.control.scrubber.value = this.index;
    this.draw();
  }

  listen() {
    const {volume, plane, window: preset, scrubber, slider} = this.control;
    if (volume) volume.addEventListener("change", () => this.open(Number(volume.value)));
    plane.addEventListener("change", () => this.choosePlane());
    for (const control of [preset, this.part("second-window")]) control.addEventListener("change", () => this.draw());
    slider.addEventListener("input", () => this.draw());
    scrubber.addEventListener("input", () => {
      if (this.layers) this.index = Number(scrubber.value);
    });
    this.part("second-window").addEventListener("change", () => {
      if (slider.value === "100") slider.value = 50;
    });
    this.root.querySelectorAll('[data-role="swap"]').forEach((button, i) => button.addEventListener("click", () => {
      plane.value = this.others[i];
      this.choosePlane();
    }));
    this.main.addEventListener("keydown", (event) => this.key(event));
    this.listenMain();
    this.small.forEach((canvas, i) => this.listenSmall(canvas, i));
    new ResizeObserver(() => this.draw()).observe(this.main);
  }

  key(event) {
    if (!this.layers || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.layers[0].plane(this.plane).count - 1;
    const goal = {ArrowUp: this.index + 1, ArrowRight: this.index + 1, ArrowDown: this.index - 1,
      ArrowLeft: this.index - 1, PageUp: this.index + 10, PageDown: this.index - 10, Home: 0, End: last}[event.key];
    const letter = PLANES.find((name) => name[0] === event.key.toLowerCase());
    const preset = this.control.window.options[Number(event.key) - 1];
    if (goal !== undefined) {
      this.index = goal;
    } else if (letter) {
      this.control.plane.value = letter;
      this.choosePlane();
    } else if (preset) {
      this.control.window.value = preset.value;
      this.draw();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Moving reads HU, dragging moves the line between two pictures, a click moves the other planes. */
  listenMain() {
    let from = null;
    this.main.addEventListener("pointermove", (event) => {
      if (!this.layers) return;
      if (from && Math.abs(event.clientX - from.x) > 4) from.dragged = true;
      const pixel = from && from.dragged && this.control.slider.value < 100 && this.pixelAt(this.main, this.plane, event);
      if (pixel) {
        this.control.slider.value = Math.round(100 * pixel.across);
        this.draw();
      }
      this.readHu(event);
    });
    this.main.addEventListener("pointerdown", (event) => {
      if (!this.layers) return;
      from = {x: event.clientX, dragged: false};
      this.main.setPointerCapture(event.pointerId);
      this.readHu(event);
    });
    this.main.addEventListener("pointerup", (event) => {
      const pixel = from && !from.dragged && this.pixelAt(this.main, this.plane, event);
      from = null;
      if (pixel) this.moveTo(this.plane, pixel);
    });
    this.main.addEventListener("pointercancel", () => { from = null; });
    this.main.addEventListener("pointerleave", () => this.layers && this.readHu(null));
  }

  listenSmall(canvas, i) {
    const follow = (event) => {
      if (!this.layers || !event.buttons) return;
      const pixel = this.pixelAt(canvas, this.others[i], event);
      if (pixel) this.moveTo(this.others[i], pixel);
    };
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("pointermove", follow);
  }
}

document.querySelectorAll("[data-viewer]").forEach((root) => new Viewer(root));
