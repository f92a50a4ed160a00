/** Draw planes of volumes into canvases, in true proportions. */

/** Return the gray value of every level in a window: level and width in HU. */
function grays(hu, {level, width}) {
  const low = level - width / 2;
  return Uint8Array.from(hu, (value) => Math.round(255 * Math.min(1, Math.max(0, (value - low) / width))));
}

/** Return a plane of a volume as a canvas with one pixel per voxel. */
function planeImage(volume, name, index, table) {
  const plane = volume.plane(name);
  const image = new ImageData(plane.width, plane.height);
  const pixels = new Uint32Array(image.data.buffer);
  const opaque = new Uint32Array(new Uint8Array([0, 0, 0, 255]).buffer)[0];
  let out = 0;
  for (let row = 0; row < plane.height; row++) {
    let at = plane.first(index) + row * plane.down;
    for (let column = 0; column < plane.width; column++, at += plane.right) {
      pixels[out++] = (table[volume.levels[at]] * 0x010101) | opaque;
    }
  }
  const canvas = document.createElement("canvas");
  canvas.width = plane.width;
  canvas.height = plane.height;
  contextOf(canvas).putImageData(image, 0, 0);
  return canvas;
}

/** Return a canvas's context; kept in memory, where it is painted from and may be read back. */
function contextOf(canvas) {
  return canvas.getContext("2d", {willReadFrequently: true});
}

/** Give a canvas as many pixels as the screen has under it. */
function fitToScreen(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * scale));
  const height = Math.max(1, Math.round(canvas.clientHeight * scale));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
}

/** Return where a plane lies in a canvas, in its pixels: as large as fits, centred. */
function placeOf(canvas, plane) {
  const scale = Math.min(canvas.width / plane.widthMm, canvas.height / plane.heightMm);
  const width = plane.widthMm * scale;
  const height = plane.heightMm * scale;
  return {x: (canvas.width - width) / 2, y: (canvas.height - height) / 2, width, height};
}

/**
 * Draw one plane, or two side by side along a line.
 * @param {HTMLCanvasElement[]} images  the one left of the line, and the one right of it
 * @param {number} split  where the line is, 0 to 1 of the plane's width; 1 shows the left one alone
 */
function drawPlane(canvas, plane, images, split) {
  fitToScreen(canvas);
  const context = contextOf(canvas);
  const place = placeOf(canvas, plane);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(images[0], place.x, place.y, place.width, place.height);
  if (split >= 1) return place;
  const line = place.x + split * place.width;
  context.save();
  context.beginPath();
  context.rect(line, 0, canvas.width - line, canvas.height);
  context.clip();
  context.drawImage(images[1], place.x, place.y, place.width, place.height);
  context.restore();
  drawHandle(context, line, canvas.height);
  return place;
}

/** Draw the line between two pictures with its handle. */
function drawHandle(context, x, height) {
  const scale = window.devicePixelRatio || 1;
  context.fillStyle = "rgba(255, 255, 255, 0.9)";
  context.fillRect(x - scale, 0, 2 * scale, height);
  context.beginPath();
  context.arc(x, height / 2, 13 * scale, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = "#123";
  for (const side of [-1, 1]) {
    context.beginPath();
    context.moveTo(x + side * 9 * scale, height / 2);
    context.lineTo(x + side * 3 * scale, height / 2 - 5 * scale);
    context.lineTo(x + side * 3 * scale, height / 2 + 5 * scale);
    context.fill();
  }
}

/** Draw two lines across a plane, where two other planes cut it; both 0 to 1. */
function drawCross(canvas, place, [across, down]) {
  const context = contextOf(canvas);
  const scale = window.devicePixelRatio || 1;
  context.fillStyle = "rgba(96, 200, 255, 0.75)";
  context.fillRect(place.x + across * place.width, place.y, scale, place.height);
  context.fillRect(place.x, place.y + down * place.height, place.width, scale);
}
