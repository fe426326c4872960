// The state of the grid: what is under way, where copies lie, looked at anew every few seconds.

import { json, Refused } from "./dicomweb.js";
import { count, make, say, show } from "./dom.js";
import { bytes } from "./words.js";

const SECONDS = 3;

/** Show the state until it is left. */
export async function grid() {
  const body = make("div", { class: "cards" });
  show(make("h1", {}, "Grid"), body);
  let timer = null;
  let left = false;
  const look = async () => {
    const [ready, state] = await Promise.all([readiness(), status()]);
    if (left) return;
    body.replaceChildren(...cards(ready, state));
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
    return { status: "away", words: ["The gateway does not answer."] };
  }
}

async function status() {
  try {
    return await json("/api/status");
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return { missing: "This gateway does not tell its state over HTTP." };
    return { missing: error.message };
  }
}

function cards(ready, state) {
  const well = ready.status === "ready";
  const first = card(
    "Gateway",
    make("p", { class: well ? "good" : "bad" }, well ? "Ready" : `Not ready: ${(ready.missing ?? []).join(", ")}`),
    (ready.words ?? []).map((each) => make("p", { class: "small" }, each)),
  );
  if (state.missing) return [first, card("State", make("p", {}, state.missing))];
  return [first, queue(state), copies(state), ...gateways(state), ...troubles(state)];
}

function card(title, ...children) {
  return make("section", { class: "card" }, make("h2", {}, title), ...children);
}

function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== null);
  return make("dl", {}, rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]));
}

function queue(state) {
  const { waiting = 0, published = 0, raw_bytes: raw = 0, stored_bytes: stored = 0 } = state.parts ?? {};
  const all = waiting + published;
  return card(
    "Publishing",
    make("progress", { max: Math.max(all, 1), value: published, "aria-label": "Parts published" }),
    facts([
      ["Published", count(published, "part")],
      ["Waiting", count(waiting, "part")],
      ["Received", raw ? bytes(raw) : null],
      ["On the nodes", stored ? bytes(stored) : null],
    ]),
  );
}

function copies(state) {
  const nodes = Object.entries(state.copies?.nodes ?? {});
  const rows = nodes.map(([name, states]) => {
    const others = Object.entries(states).filter(([kind, number]) => kind !== "available" && number);
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, name),
      make("td", { class: "number" }, (states.available ?? 0).toLocaleString("en")),
      make("td", {}, others.map(([kind, number]) => `${number} ${kind}`).join(", ") || "none"),
    );
  });
  const heads = ["Node", "Copies", "Under way or in trouble"].map((each) => make("th", { scope: "col" }, each));
  return card(
    "Nodes",
    rows.length
      ? make("table", {}, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows))
      : make("p", {}, "No copy lies on any node yet."),
    (state.copies?.words ?? []).map((each) => make("p", { class: "small" }, each)),
  );
}

function gateways(state) {
  const known = state.gateways ?? [];
  if (known.length < 2) return [];
  const rows = known.map((each) => make("li", {}, Object.values(each).filter((value) => typeof value === "string").join(" · ")));
  return [card("Gateways", make("ul", {}, rows))];
}

function troubles(state) {
  const waiting = state.waiting ?? [];
  if (!waiting.length) return [];
  const rows = waiting.map((each) =>
    make(
      "li",
      {},
      make("span", {}, `${count(each.instances ?? 0, "image")}: ${each.step}`),
      each.last_error ? make("span", { class: "bad small" }, each.last_error) : null,
    ),
  );
  return [card("On the way", make("ul", { class: "log" }, rows))];
}
