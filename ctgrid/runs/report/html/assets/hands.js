/** What hands do to a viewer: mouse, fingers and keys. The wheel and the keys move slices, never the page. */

const CLICK_PX = 4;
const TOOLS = {
  window: (viewer, right, down) => viewer.changeWindow(right, down),
  slices: (viewer, right, down) => viewer.scroll(-down / 6),
  pan: (viewer, right, down, plane) => viewer.pan(plane, right, down),
  zoom: (viewer, right, down) => viewer.zoom(Math.exp(-down / 150)),
};

class Hands {
  constructor(viewer, glass, handle) {
    Object.assign(this, {viewer, glass, fingers: new Map(), held: null, rest: 0});
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"]) {
      glass.addEventListener(kind, (event) => viewer.ready && this[kind](event));
    }
    glass.addEventListener("wheel", (event) => this.wheel(event), {passive: false});
    glass.addEventListener("contextmenu", (event) => event.preventDefault());
    glass.addEventListener("dblclick", () => viewer.ready && viewer.home());
    handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) viewer.splitAt(event.clientX);
    });
  }

  wheel(event) {
    event.preventDefault();
    if (!this.viewer.ready) return;
    if (event.ctrlKey) return this.viewer.zoom(Math.exp(-event.deltaY / 200), this.viewer.picture.pick(event)?.fraction);
    if (Math.sign(event.deltaY) !== Math.sign(this.rest)) this.rest = 0;
    this.rest += event.deltaY / (event.deltaMode ? 1 : 100); // lines, or pixels: a notch is a hundred or so
    const whole = Math.abs(event.deltaY) >= 50 ? Math.sign(event.deltaY) : Math.trunc(this.rest * 3);
    if (whole) {
      this.rest = 0;
      this.viewer.step(-whole);
    }
  }

  /** Tell what a drag does: the tool that was chosen, or what the button or key stands for. */
  tool(event) {
    if (event.button === 1 || event.shiftKey) return "pan";
    if (event.button === 2 || event.ctrlKey) return "zoom";
    const chosen = this.viewer.tool;
    return chosen === "auto" ? (event.pointerType === "touch" ? "slices" : "window") : chosen;
  }

  pointerdown(event) {
    this.glass.focus({preventScroll: true});
    if (event.button === 1) event.preventDefault();
    this.glass.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, event);
    const under = this.viewer.picture.pick(event);
    this.held = under && this.fingers.size === 1 ? {tool: this.tool(event), under, x: event.clientX, y: event.clientY} : null;
    if (this.held && !under.main) this.viewer.moveTo(under);
  }

  pointermove(event) {
    const before = this.fingers.get(event.pointerId);
    if (this.fingers.size === 2 && before) return this.pinch(before, event);
    if (before) this.fingers.set(event.pointerId, event);
    const {held} = this;
    if (held && !held.moved && Math.hypot(event.clientX - held.x, event.clientY - held.y) > CLICK_PX) held.moved = true;
    if (held && !held.under.main && held.tool !== "pan" && held.tool !== "zoom") {
      const under = this.viewer.picture.pick(event);
      if (under?.plane === held.under.plane) this.viewer.moveTo(under);
    } else if (held?.moved && before) {
      TOOLS[held.tool](this.viewer, event.clientX - before.clientX, event.clientY - before.clientY, held.under.plane);
    }
    this.viewer.point(event);
  }

  /** Two fingers zoom and move what is between them. */
  pinch(before, event) {
    const other = [...this.fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    const middle = {clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2};
    const under = this.viewer.picture.pick(middle);
    if (under) {
      this.viewer.pan(under.plane, (event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
      this.viewer.zoom(apart(event) / Math.max(1, apart(before)), under.fraction);
    }
    this.fingers.set(event.pointerId, event);
  }

  pointerup(event) {
    const {held} = this;
    this.pointercancel(event);
    if (held && !held.moved && event.button === 0) this.viewer.moveTo(held.under);
    if (event.pointerType === "touch") this.viewer.point(null);
  }

  pointercancel(event) {
    this.fingers.delete(event.pointerId);
    this.held = null;
  }

  pointerleave() {
    if (!this.held) this.viewer.point(null);
  }
}

/** Do what a key stands for; false where it stands for nothing. */
function press(viewer, key) {
  const steps = {ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6};
  const zooms = {"+": 1.25, "=": 1.25, "-": 0.8, "_": 0.8};
  const plane = PLANES.find((name) => name[0] === key.toLowerCase());
  if (steps[key]) viewer.step(steps[key]);
  else if (zooms[key]) viewer.zoom(zooms[key]);
  else if (plane) viewer.choose("plane", plane);
  else if (/^[1-9]$/.test(key)) return viewer.preset(Number(key) - 1);
  else if (key === "0") viewer.home();
  else if (key === "b") return viewer.flip();
  else if (key === "d") return viewer.toggle("difference");
  else if (key === "o") return viewer.toggleLayers();
  else if (key === "x") return viewer.toggle("lines");
  else if (key === "p") return viewer.toggle("smoothed");
  else return false;
  return true;
}
