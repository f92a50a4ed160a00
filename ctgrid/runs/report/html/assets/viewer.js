/** The viewer: what is shown of which volume, and the controls that say so; one for each element with a `data-viewer`. */

const DISC_MM = 5;
const LAYERS = ["labels", "trust", "residual"];

class Viewer {
  constructor(root) {
    this.root = root;
    const identity = root.dataset.viewer;
    Object.assign(this, JSON.parse(document.getElementById(`${identity}-data`).textContent));
    this.place = [0, 0, 0];
    this.window = Object.values(this.windows)[0];
    this.spread = 100; // HU, of the difference
    this.rest = 0; // of a drag through slices
    this.glass = this.part("glass");
    this.picture = new Picture(this.part("canvas"));
    this.hands = new Hands(this, this.glass, this.part("handle"));
    this.listen();
    this.open(0);
  }

  part(role) {
    return this.root.querySelector(`[data-role="${role}"]`);
  }

  control(name) {
    return this.root.querySelector(`[data-testid="${name}"]`);
  }

  get plane() { return this.control("plane").value; }
  get tool() { return this.control("tool").value; }
  get index() { return this.place[AXIS[this.plane]]; }
  get count() { return this.grid.counts[AXIS[this.plane]]; }
  get every() { return this.plane === "axial" ? this.scene.every : 1; }

  // --- what is shown

  /** Show a scene; its voxels are read at the first time and kept while it is shown. */
  async open(number) {
    const scene = this.scenes[number];
    this.opening = number;
    this.ready = false;
    delete this.root.dataset.ready;
    this.say("Reading the volume …");
    try {
      if (typeof DecompressionStream === "undefined") {
        throw new Error("this browser is too old to unpack volumes (it has no DecompressionStream)");
      }
      await new Promise((resolve) => setTimeout(resolve)); // lets the message appear
      if (!this.picture.nv) await (this.starting ??= this.picture.start());
      const maps = {};
      for (const [name, layer] of Object.entries(scene.layers)) maps[name] = await loadVoxels(layer, scene.shape);
      if (this.opening === number) await this.show(scene, maps);
    } catch (error) {
      this.say(`The volume cannot be shown: ${error.message}.`);
      this.part("readout").textContent = "";
    }
  }

  async show(scene, maps) {
    const grid = new Grid(scene);
    if (!this.grid || this.grid.counts.join() !== grid.counts.join()) this.place = grid.counts.map((n) => n >> 1);
    Object.assign(this, {scene, maps, grid, pair: Boolean(maps.before)});
    await this.picture.show(grid, maps);
    this.control("slider").value = this.pair ? 50 : 0;
    for (const place of this.root.querySelectorAll('[data-role="pair"], [data-role="split"]')) place.hidden = !this.pair;
    if (!this.pair) this.control("difference").checked = false;
    for (const name of LAYERS) this.part(name).hidden = !maps[name];
    this.part("strength").hidden = !LAYERS.some((name) => maps[name]);
    const size = `${[...scene.whole_shape].reverse().join(" × ")} voxels of ` +
      `${[...scene.spacing_mm].reverse().map((mm) => mm.toFixed(2)).join(" × ")} mm`;
    this.part("facts").textContent = [size, ...scene.notes].join(" · ");
    this.say("");
    this.ready = true;
    this.choosePlane();
    await new Promise(requestAnimationFrame);
    this.root.dataset.ready = "true";
  }

  say(message) {
    const place = this.part("message");
    place.textContent = message;
    place.hidden = !message;
  }

  choosePlane() {
    this.picture.plane = this.plane;
    this.control("scrubber").max = this.count - 1;
    this.draw();
  }

  /** Draw at the next frame, however often asked. */
  draw() {
    if (!this.ready || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  paint() {
    const {level, width} = this.window;
    const strength = this.control("strength").value / 100;
    this.picture.draw(this.place, {
      hu: [level - width / 2, level + width / 2],
      spread: this.spread,
      difference: this.control("difference").checked,
      smoothed: this.control("smoothed").checked,
      lines: this.control("lines").checked,
      overlaid: LAYERS.map((name) => (this.maps[name] && this.control(name).checked ? strength : 0)),
      split: this.control("slider").value / 100,
    });
    this.tell();
  }

  /** Say in words what is drawn. */
  tell() {
    const last = (this.count - 1) * this.every;
    const text = `${this.index * this.every} of 0–${last}`;
    this.control("scrubber").value = this.index;
    this.part("slice-number").textContent = text;
    this.glass.setAttribute("aria-label", `${this.scene.name}, ${this.plane} slice ${text}`);
    const [left, top, width, height] = this.picture.boxInPage(this.plane);
    const split = this.control("slider").value / 100;
    Object.assign(this.part("split").style, {left: `${left + split * width}px`, top: `${top}px`, height: `${height}px`});
    const difference = this.control("difference").checked;
    this.part("tag-after").textContent = difference ? `before − after, ±${Math.round(this.spread)} HU` : "after";
    this.part("tag-before").hidden = split < 0.15;
    this.part("tag-after").hidden = split > 0.85;
    this.read();
  }

  /** Say what the pointer points at, or where the lines cross. */
  read() {
    const under = this.pointer && this.picture.pick(this.pointer);
    const at = under?.index || this.place;
    const {before, after} = this.maps;
    const whole = (value) => String(Math.round(value * 100) / 100).replace("-", "−");
    const parts = this.pair ? [`before ${whole(before.at(at))}, after ${whole(after.at(at))} HU`,
      `removed ${whole(before.at(at) - after.at(at))} HU`] : [`${whole(after.at(at))} HU`];
    for (const name of LAYERS) if (this.maps[name]) parts.push(`${name} ${whole(this.maps[name].at(at))}`);
    const [x, y, z] = this.grid.whole(at);
    parts.push(`x ${x}, y ${y}, z ${z}`, `${this.grid.mm(at).map((mm) => whole(Math.round(mm * 10) / 10)).join(", ")} mm`);
    this.part("readout").textContent = parts.join(" · ");
    const axis = AXIS[under?.plane || this.plane];
    const around = (map) => {
      const {mean, deviation} = disc(map, this.grid, axis, at, DISC_MM);
      return `${whole(Math.round(mean * 10) / 10)} ± ${whole(Math.round(deviation * 10) / 10)}`;
    };
    this.part("disc").textContent = `within ${DISC_MM} mm: ` +
      (this.pair ? `before ${around(before)}, after ${around(after)} HU` : `${around(after)} HU`);
  }

  // --- what hands and controls ask for

  point(event) {
    this.pointer = event && {clientX: event.clientX, clientY: event.clientY};
    if (this.ready && !this.waiting) this.read();
  }

  step(slices) {
    this.place[AXIS[this.plane]] = Math.min(this.count - 1, Math.max(0, this.index + slices));
    this.draw();
  }

  scroll(slices) {
    this.rest += slices;
    const whole = Math.trunc(this.rest);
    this.rest -= whole;
    if (whole) this.step(whole);
  }

  moveTo({index}) {
    if (!index) return;
    this.place = index;
    this.draw();
  }

  zoom(factor, fraction) {
    this.picture.zoomBy(factor, fraction);
    this.draw();
  }

  pan(plane, right, down) {
    this.picture.pan(plane, right, down);
    this.draw();
  }

  home() {
    this.picture.home();
    this.draw();
  }

  /** Make the window wider to the right and higher upwards; of a difference, its spread. */
  changeWindow(right, down) {
    if (this.control("difference").checked) {
      this.spread = Math.min(2000, Math.max(2, this.spread * Math.exp(right / 200)));
    } else {
      const {level, width} = this.window;
      this.window = {level: Math.round(level - down * 2), width: Math.max(2, Math.round(width + right * 4))};
      this.nameWindow();
    }
    this.draw();
  }

  nameWindow() {
    const control = this.control("window");
    const own = control.querySelector('[value="own"]');
    own.textContent = `Own ${this.window.level}/${this.window.width}`.replace("-", "−");
    own.hidden = false;
    control.value = "own";
  }

  choose(name, value) {
    this.control(name).value = value;
    this.control(name).dispatchEvent(new Event("change"));
  }

  preset(number) {
    const name = Object.keys(this.windows)[number];
    if (name) this.choose("window", name);
    return Boolean(name);
  }

  /** Show all of before, or all of after. */
  flip() {
    if (!this.pair) return false;
    const slider = this.control("slider");
    slider.value = slider.value > 50 ? 0 : 100;
    this.draw();
    return true;
  }

  toggle(name) {
    if (name === "difference" && !this.pair) return false;
    const control = this.control(name);
    control.checked = !control.checked;
    this.draw();
    return true;
  }

  toggleLayers() {
    const there = LAYERS.filter((name) => this.maps[name]);
    const shown = there.some((name) => this.control(name).checked);
    for (const name of there) this.control(name).checked = !shown;
    this.draw();
    return there.length > 0;
  }

  splitAt(clientX) {
    const [left, , width] = this.picture.boxInPage(this.plane);
    const from = this.glass.getBoundingClientRect().left + left;
    this.control("slider").value = Math.round((100 * (clientX - from)) / width);
    this.draw();
  }

  listen() {
    this.control("volume")?.addEventListener("change", (event) => this.open(Number(event.target.value)));
    this.control("plane").addEventListener("change", () => this.ready && this.choosePlane());
    this.control("window").addEventListener("change", (event) => {
      this.window = this.windows[event.target.value] || this.window;
      this.draw();
    });
    this.control("scrubber").addEventListener("input", (event) => {
      if (this.ready) this.step(Number(event.target.value) - this.index);
    });
    for (const name of ["slider", "strength", "difference", "smoothed", "lines", ...LAYERS]) {
      this.control(name).addEventListener("input", () => this.draw());
    }
    this.control("home").addEventListener("click", () => this.ready && this.home());
    for (const [name, factor] of [["closer", 1.25], ["farther", 0.8]]) {
      this.control(name).addEventListener("click", () => this.ready && this.zoom(factor));
    }
    const place = document.body.classList.contains("alone") ? document : this.root;
    place.addEventListener("keydown", (event) => {
      const typed = event.target.closest?.("input[type=range], select, summary");
      if (!this.ready || typed || event.ctrlKey || event.metaKey || event.altKey) return;
      if (press(this, event.key)) event.preventDefault();
    });
    this.part("canvas").addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.ready = false;
      this.say("The graphics card gave up on the picture; load the page again, or give --max-mb less.");
    });
    new ResizeObserver(() => this.draw()).observe(this.glass);
  }
}

const viewers = [...document.querySelectorAll("[data-viewer]")].map((root) => new Viewer(root));
