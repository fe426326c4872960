// Files to the gateway by STOW-RS, a few at a time, from a drop or a choice.

import { store } from "./dicomweb.js";
import { count, make, say, show } from "./dom.js";
import { bytes } from "./words.js";

const MOST_FILES = 20; // of one request
const MOST_BYTES = 32 << 20;

/** Show where files are dropped. */
export async function upload() {
  const progress = make("progress", { max: "1", value: "0", "aria-label": "Files sent", hidden: true });
  const log = make("ul", { class: "log", "aria-label": "What became of them" });
  const input = make("input", {
    type: "file",
    multiple: true,
    id: "files",
    class: "unseen",
    change: () => take([...input.files]),
  });
  const zone = make(
    "div",
    {
      class: "drop",
      dragover: (event) => {
        event.preventDefault();
        zone.classList.add("over");
      },
      dragleave: () => zone.classList.remove("over"),
      drop: async (event) => {
        event.preventDefault();
        zone.classList.remove("over");
        take(await dropped(event.dataTransfer));
      },
    },
    make("p", {}, "Drop DICOM files or folders here"),
    input,
    make("label", { for: "files", class: "button main" }, "Choose files"),
  );
  const take = async (files) => {
    progress.hidden = false;
    progress.max = files.length;
    progress.value = 0;
    let [taken, refused] = [0, 0];
    for (const some of batches(files)) {
      try {
        const answer = await store(some);
        taken += answer.taken;
        refused += answer.refused;
        if (answer.refused) log.append(make("li", {}, `${count(answer.refused, "file was", "files were")} not taken.`));
      } catch (error) {
        refused += some.length;
        log.append(make("li", {}, `${count(some.length, "file")} not sent: ${error.message}`));
      }
      progress.value += some.length;
      say(`${count(taken, "file")} stored${refused ? `, ${refused} refused` : ""}.`);
    }
    const size = files.reduce((sum, file) => sum + file.size, 0);
    log.prepend(make("li", {}, `${count(taken, "file")} of ${files.length} stored (${bytes(size)}).`));
    input.value = "";
  };
  show(
    make("h1", {}, "Upload"),
    zone,
    progress,
    log,
    make("p", { class: "small" }, "What is stored is published once its series has been quiet for a while."),
  );
}

function* batches(files) {
  let some = [];
  let size = 0;
  for (const file of files) {
    if (some.length && (some.length >= MOST_FILES || size + file.size > MOST_BYTES)) {
      yield some;
      [some, size] = [[], 0];
    }
    some.push(file);
    size += file.size;
  }
  if (some.length) yield some;
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, found);
  }
}
