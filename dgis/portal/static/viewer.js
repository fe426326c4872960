// Looks at one series: wheel, keys and slider go through its frames, dragging changes the window.

import { fetchPicture, metadata, picture, search } from "./dicomweb.js";
import { make, say } from "./dom.js";

const AHEAD = 6; // neighbours fetched before they are asked for, more of them in the direction of travel
const KEPT = 160; // pictures held
const AT_ONCE = 4;
const USUAL = { CT: [40, 400], PT: [5000, 10000] };
const PAGE = 500;

export class Viewer {
  #study;
  #series = "";
  #frames = []; // [instance, frame]
  #place = 0;
  #direction = 1;
  #window = null; // [center, width] as asked for; null: as the image says
  #said = null; // what the image says
  #usual = [128, 256]; // where dragging starts from where it says nothing
  #pictures = new Map(); // by address: a bitmap, or the promise of one
  #running = 0;
  #waiting = [];
  #abort = new AbortController();
  #opened = 0;

  constructor(study) {
    this.#study = study;
    this.canvas = make("canvas", {
      tabindex: "0",
      role: "img",
      "aria-label": "Image",
      "aria-describedby": "viewer-help",
      wheel: (event) => this.#wheel(event),
      keydown: (event) => this.#key(event),
      pointerdown: (event) => this.#drag(event),
    });
    this.slider = make("input", {
      type: "range",
      min: "1",
      max: "1",
      value: "1",
      "aria-label": "Image of the series",
      input: () => this.#go(Number(this.slider.value) - 1),
    });
    this.place = make("output", { class: "place" });
    this.words = make("output", { class: "window" });
    const reset = () => {
      this.#window = null;
      this.#show();
    };
    this.element = make(
      "section",
      { class: "viewer", "aria-label": "Viewer" },
      make("div", { class: "stage" }, this.canvas, this.place, this.words),
      make("div", { class: "controls" }, this.slider, make("button", { type: "button", click: reset }, "Reset window")),
      make(
        "p",
        { class: "small", id: "viewer-help" },
        "Wheel, slider or arrow keys: next image. Drag, or Shift with arrow keys: window. R resets it.",
      ),
    );
    this.watcher = new ResizeObserver(() => this.#show());
    this.watcher.observe(this.canvas);
  }

  /** Look at a series. */
  async open(series) {
    const turn = ++this.#opened;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#pictures.clear();
    this.#waiting = [];
    this.#frames = [];
    const found = await instances(this.#study, series);
    if (turn !== this.#opened) return;
    this.#series = series;
    this.#frames = found.flatMap((each) => {
      const frames = Math.max(each.number("00280008") ?? 1, 1);
      return Array.from({ length: frames }, (_, place) => [each.text("00080018"), place + 1]);
    });
    this.#window = null;
    this.#said = null;
    this.slider.max = String(Math.max(this.#frames.length, 1));
    this.#go(Math.floor((this.#frames.length - 1) / 2));
    const header = this.#frames.length ? await metadata(this.#study, series, this.#frames[0][0]) : null;
    if (turn === this.#opened) {
      this.#said = windowOf(header);
      this.#usual = USUAL[found[0]?.text("00080060")] ?? [128, 256];
      this.#tell();
    }
  }

  /** Stop whatever is under way. */
  close() {
    this.#abort.abort();
    this.watcher.disconnect();
    this.#opened += 1;
  }

  #go(place) {
    const last = this.#frames.length - 1;
    const next = Math.min(Math.max(place, 0), Math.max(last, 0));
    this.#direction = next < this.#place ? -1 : 1;
    this.#place = next;
    this.slider.value = String(next + 1);
    this.#show();
  }

  #url(place) {
    const [instance, frame] = this.#frames[place];
    const parameters = this.#window ? { window: `${this.#window.map((each) => each.toFixed(1)).join(",")},linear` } : {};
    return picture("rendered", [this.#study, this.#series, instance, frame], parameters);
  }

  async #show() {
    this.#tell();
    if (!this.#frames.length) {
      this.#clear();
      return;
    }
    const url = this.#url(this.#place);
    // What was asked for before and has not begun is of no use any more.
    for (const each of this.#waiting) this.#pictures.delete(each.url);
    this.#waiting = [];
    const shown = this.#fetch(url, true);
    for (const step of this.#neighbours()) this.#fetch(this.#url(step), false);
    try {
      const bitmap = await shown;
      if (bitmap && this.#frames.length && url === this.#url(this.#place)) this.#draw(bitmap);
    } catch (error) {
      if (error.name === "AbortError" || url !== this.#url(this.#place)) return;
      this.#clear();
      say(error.message, true);
    }
  }

  #neighbours() {
    const steps = [];
    for (let step = 1; step <= AHEAD; step += 1) {
      steps.push(this.#place + step * this.#direction);
      if (step <= AHEAD / 3) steps.push(this.#place - step * this.#direction);
    }
    return steps.filter((each) => each >= 0 && each < this.#frames.length);
  }

  #fetch(url, now) {
    const held = this.#pictures.get(url);
    if (held) {
      this.#pictures.delete(url); // and last again: what was used longest ago goes first
      this.#pictures.set(url, held);
      return held;
    }
    const promise = new Promise((resolve, reject) => {
      const task = { url, resolve, reject };
      if (now) this.#waiting.unshift(task);
      else this.#waiting.push(task);
    });
    promise.catch(() => this.#pictures.delete(url));
    this.#pictures.set(url, promise);
    while (this.#pictures.size > KEPT) this.#pictures.delete(this.#pictures.keys().next().value);
    this.#next();
    return promise;
  }

  #next() {
    while (this.#running < AT_ONCE && this.#waiting.length) {
      const task = this.#waiting.shift();
      this.#running += 1;
      fetchPicture(task.url, this.#abort.signal)
        .then(task.resolve, task.reject)
        .finally(() => {
          this.#running -= 1;
          this.#next();
        });
    }
  }

  #draw(bitmap) {
    const scale = devicePixelRatio || 1;
    const width = Math.max(Math.round(this.canvas.clientWidth * scale), 1);
    const height = Math.max(Math.round(this.canvas.clientHeight * scale), 1);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const fit = Math.min(width / bitmap.width, height / bitmap.height);
    const context = this.canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    const [wide, high] = [bitmap.width * fit, bitmap.height * fit];
    context.drawImage(bitmap, (width - wide) / 2, (height - high) / 2, wide, high);
    this.canvas.dataset.shown = String(this.#place + 1);
  }

  #clear() {
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    delete this.canvas.dataset.shown;
  }

  #tell() {
    const all = this.#frames.length;
    this.place.textContent = all ? `${this.#place + 1} / ${all}` : "";
    const window = this.#window ?? this.#said;
    this.words.textContent = window ? `C ${Math.round(window[0])} W ${Math.round(window[1])}` : "";
    this.canvas.setAttribute("aria-label", all ? `Image ${this.#place + 1} of ${all}` : "No image");
  }

  #wheel(event) {
    event.preventDefault();
    if (event.deltaY) this.#go(this.#place + Math.sign(event.deltaY));
  }

  #key(event) {
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10 };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.shiftKey && event.key.startsWith("Arrow")) {
      const width = (this.#window ?? this.#said ?? this.#usual)[1];
      const by = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
      this.#move((by[0] * width) / 20, (by[1] * width) / 20);
    } else if (event.key in steps) this.#go(this.#place + steps[event.key]);
    else if (event.key === "Home") this.#go(0);
    else if (event.key === "End") this.#go(this.#frames.length - 1);
    else if (event.key === "r" || event.key === "R") {
      this.#window = null;
      this.#show();
    } else return;
    event.preventDefault();
  }

  #move(width, center) {
    const [c, w] = this.#window ?? this.#said ?? this.#usual;
    this.#window = [c + center, Math.max(w + width, 1)];
    this.#show();
  }

  #drag(event) {
    if (event.button !== 0) return;
    const [c, w] = this.#window ?? this.#said ?? this.#usual;
    const from = [event.clientX, event.clientY];
    const per = w / Math.max(this.canvas.clientWidth, 1);
    this.canvas.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const by = [moved.clientX - from[0], moved.clientY - from[1]];
      if (Math.hypot(...by) < 3) return;
      this.#window = [c + by[1] * per, Math.max(w + 2 * by[0] * per, 1)];
      this.#show();
    };
    const end = () => {
      this.canvas.removeEventListener("pointermove", move);
      this.canvas.removeEventListener("pointerup", end);
      this.canvas.removeEventListener("pointercancel", end);
    };
    this.canvas.addEventListener("pointermove", move);
    this.canvas.addEventListener("pointerup", end);
    this.canvas.addEventListener("pointercancel", end);
  }
}

async function instances(study, series) {
  const found = [];
  for (;;) {
    const keys = { includefield: "00280008,00200013,00080060", limit: PAGE, offset: found.length };
    const page = await search(`/studies/${study}/series/${series}/instances`, keys);
    found.push(...page);
    if (page.length < PAGE) break;
  }
  return found.sort((one, other) => (one.number("00200013") ?? 1e9) - (other.number("00200013") ?? 1e9));
}

function windowOf(header) {
  const places = [
    header,
    header?.within("52009229", "00289132"),
    header?.within("52009230", "00289132"),
  ];
  for (const place of places) {
    const [center, width] = [place?.number("00281050") ?? null, place?.number("00281051") ?? null];
    if (center !== null && width !== null && width >= 1) return [center, width];
  }
  return null;
}
