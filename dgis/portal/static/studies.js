// The list of studies: search by name, ID, date and modality, page by page.

import { picture, search } from "./dicomweb.js";
import { count, make, say, show } from "./dom.js";
import { date, person } from "./words.js";

const PAGE = 25;
const FIELDS = ["PatientName", "PatientID", "from", "to", "ModalitiesInStudy"];
const MODALITIES = ["CT", "MR", "PT", "US", "CR", "DX", "MG", "NM", "XA", "SC", "SEG", "RTSTRUCT"];
let asked = {}; // kept while the page lives, so that coming back finds the same list
let first = 0;

/** Show the list. */
export async function studies(_about, go) {
  const results = make("section", { "aria-label": "Studies found", class: "results" });
  const form = searchForm(() => {
    asked = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
    first = 0;
    list(results, go);
  });
  show(make("h1", {}, "Studies"), form, results);
  await list(results, go);
}

function searchForm(submit) {
  const field = (name, label, type = "search") =>
    make("label", {}, label, make("input", { name, type, value: asked[name] ?? "", autocomplete: "off" }));
  const options = ["", ...MODALITIES].map((each) =>
    make("option", { value: each, selected: each === (asked.ModalitiesInStudy ?? "") }, each || "any"),
  );
  return make(
    "form",
    {
      class: "search",
      role: "search",
      "aria-label": "Search studies",
      submit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    field("PatientName", "Name"),
    field("PatientID", "Patient ID"),
    field("from", "From", "date"),
    field("to", "To", "date"),
    make("label", {}, "Modality", make("select", { name: "ModalitiesInStudy" }, options)),
    make("button", { type: "submit", class: "main" }, "Search"),
  );
}

function keys() {
  const said = { limit: PAGE + 1, offset: first, includefield: "00081030,00201206,00201208" };
  // A name as it is typed finds every name that begins with it (PS3.4 C.2.2.2.4).
  if (asked.PatientName) said.PatientName = `${asked.PatientName.replace(/[*?]*$/, "")}*`;
  if (asked.PatientID) said.PatientID = asked.PatientID;
  if (asked.ModalitiesInStudy) said.ModalitiesInStudy = asked.ModalitiesInStudy;
  const [from, to] = [asked.from, asked.to].map((each) => (each ?? "").replaceAll("-", ""));
  if (from || to) said.StudyDate = `${from}-${to}`;
  return said;
}

async function list(results, go) {
  results.setAttribute("aria-busy", "true");
  let found;
  try {
    found = await search("/studies", keys());
  } finally {
    results.removeAttribute("aria-busy");
  }
  const page = found.slice(0, PAGE);
  const last = first + page.length;
  say(page.length ? `${count(page.length, "study", "studies")} shown` : "No study found");
  results.replaceChildren(
    page.length ? table(page, go) : make("p", { class: "empty" }, "No study found."),
    make(
      "nav",
      { class: "pager", "aria-label": "Pages of the list" },
      turn("Previous", first > 0, -PAGE, results, go),
      make("span", {}, page.length ? `${first + 1} to ${last}` : ""),
      turn("Next", found.length > PAGE, PAGE, results, go),
    ),
  );
}

function turn(words, possible, by, results, go) {
  const click = () => {
    first = Math.max(first + by, 0);
    list(results, go);
  };
  return make("button", { type: "button", disabled: !possible, click }, words);
}

function table(page, go) {
  const heads = ["", "Patient", "Patient ID", "Date", "Modality", "Description", "Images"];
  return make(
    "table",
    { class: "studies" },
    make("caption", { class: "unseen" }, "Studies"),
    make("thead", {}, make("tr", {}, heads.map((each) => make("th", { scope: "col" }, each || unseen("Picture"))))),
    make("tbody", {}, page.map((each) => row(each, go))),
  );
}

function unseen(words) {
  return make("span", { class: "unseen" }, words);
}

function row(found, go) {
  const uid = found.text("0020000D");
  const name = person(found.text("00100010")) || found.text("00100020") || "Unnamed";
  const about = {
    uid,
    name,
    id: found.text("00100020"),
    date: date(found.text("00080020")),
    description: found.text("00081030"),
  };
  const modalities = found.values("00080061").join(", ") || found.text("00080060");
  const open = (event) => {
    event.preventDefault();
    go("study", about);
  };
  const cell = (label, words, name = "") => make("td", { "data-label": label, class: name }, words);
  const images = found.text("00201208");
  return make(
    "tr",
    { click: (event) => event.target.closest("a") ?? open(event) },
    make("td", { class: "thumb" }, thumbnail(picture("thumbnail", [uid], { viewport: "96,96" }))),
    make("th", { scope: "row" }, make("a", { href: "#study", click: open }, name)),
    cell("Patient ID", about.id, "plain"),
    cell("Date", about.date, "plain"),
    cell("Modality", modalities),
    cell("Description", about.description),
    cell("Images", images, "number"),
  );
}

/** A small picture that is left out where there is none. */
export function thumbnail(source, alt = "") {
  const image = make("img", { src: source, alt, loading: "lazy", decoding: "async", width: 48, height: 48 });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "blank", "aria-hidden": "true" })));
  return image;
}
