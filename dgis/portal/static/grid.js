// The state of the grid: what is under way, where copies lie, looked at anew every few seconds.

import { json } from "./dicomweb.js";
import { count, make, say, show } from "./dom.js";
import { bytes } from "./words.js";

const SECONDS = 3;
const SERIES = 12;

/** Show the state until it is left. */
export async function grid() {
  const body = make("div", { class: "cards" });
  show(make("h1", {}, "Grid"), body);
  let timer = null;
  let left = false;
  const look = async () => {
    const drawn = cards(...(await Promise.all([readiness(), state()])));
    if (left) return;
    body.replaceChildren(...drawn);
    timer = setTimeout(look, SECONDS * 1000);
  };
  await look();
  say("");
  return () => {
    left = true;
    clearTimeout(timer);
  };
}

async function readiness() {
  try {
    const response = await fetch("/readyz");
    return await response.json();
  } catch {
    return { status: "away", missing: ["the gateway itself"] };
  }
}

/** What is told; names of nodes are for who administers the grid, and then their health is asked for, too. */
async function state() {
  try {
    const [status, series] = await Promise.all([json("/api/status"), json(`/api/series?limit=${SERIES}`)]);
    const nodes = status.copies.nodes ? await json("/api/nodes") : null;
    return { status, series: series.items, nodes };
  } catch (error) {
    return { refused: error.message };
  }
}

function cards(ready, told) {
  const first = gateway(ready, told.status);
  if (told.refused) return [first, card("State", make("p", {}, told.refused))];
  return [first, queue(told.status), copies(told.status), nodes(told.nodes), series(told.series)].filter(Boolean);
}

function card(title, ...children) {
  return make("section", { class: "card" }, make("h2", {}, title), ...children);
}

function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== null);
  return make("dl", {}, rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
}

const NUMBERS = new Set(["Copies", "Holds", "Images"]);

function head(...names) {
  const cell = (each) => make("th", { scope: "col", class: NUMBERS.has(each) ? "number" : null }, each);
  return make("thead", {}, make("tr", {}, names.map(cell)));
}

function gateway(ready, status) {
  const well = ready.status === "ready";
  const words = [...(ready.words ?? []), ...(status?.copies.words ?? [])];
  return card(
    "Gateway",
    make("p", { class: well ? "good" : "bad" }, well ? "Ready" : `Missing: ${(ready.missing ?? []).join(", ")}`),
    words.map((each) => make("p", { class: "small" }, each)),
    status
      ? facts([
          ["Patients", status.catalog.patients.toLocaleString("en")],
          ["Studies", status.catalog.studies.toLocaleString("en")],
          ["Conflicts", status.catalog.conflicts || null],
        ])
      : null,
  );
}

function queue({ catalog, parts, cache }) {
  return card(
    "Publishing",
    make("progress", {
      max: Math.max(catalog.received, 1),
      value: catalog.received - catalog.pending,
      "aria-label": "Images published",
    }),
    facts([
      ["Received", count(catalog.received, "image")],
      ["On the way", count(catalog.pending, "image")],
      ["Sealed whole", catalog.withheld ? count(catalog.withheld, "image") : null],
      ["As received", bytes(parts.raw_bytes)],
      ["In the grid", bytes(parts.stored_bytes)],
      ["Cache", `${bytes(cache.used_bytes)} of ${bytes(cache.max_bytes)}`],
    ]),
  );
}

function copies({ copies: told }) {
  const kinds = Object.entries(told.kinds);
  const sum = (name) => kinds.reduce((all, [, kind]) => all + (kind[name] ?? 0), 0);
  const missing = sum("under_rule");
  const lost = sum("without_copy");
  return card(
    "Copies",
    make("p", { class: lost ? "bad" : "good" }, lost ? `${count(lost, "object")} without a good copy` : "Every object has a good copy"),
    facts([
      ["Objects", sum("objects").toLocaleString("en")],
      ["Good copies", told.available.toLocaleString("en")],
      ["Waiting for copies", missing ? missing.toLocaleString("en") : "none"],
      ["To be moved", sum("to_move") || null],
    ]),
  );
}

function nodes(told) {
  if (!told?.length) return null;
  const rows = told.map((each) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, each.name),
      make("td", { class: each.answers ? "good" : "bad" }, each.health),
      make("td", {}, each.state),
      make("td", { class: "number" }, (each.copies.available ?? 0).toLocaleString("en")),
      make("td", { class: "number" }, bytes(each.bytes)),
    ),
  );
  return wide("Nodes", make("table", {}, head("Node", "Health", "State", "Copies", "Holds"), make("tbody", {}, rows)));
}

function series(told) {
  if (!told.length) return null;
  const rows = told.map((each) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, new Date(each.last_received_ms).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })),
      make("td", {}, each.modality),
      make("td", { class: "number" }, each.instances.toLocaleString("en")),
      make("td", {}, each.pending ? `${each.state}, ${each.pending} on the way` : each.state),
      make("td", { class: "bad" }, each.last_error ?? ""),
    ),
  );
  return wide("Latest series", make("table", {}, head("Received", "Modality", "Images", "State", "Trouble"), make("tbody", {}, rows)));
}

function wide(title, table) {
  const section = card(title, make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, table));
  section.classList.add("wide");
  return section;
}
