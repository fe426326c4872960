// One study: its series, and the one that is looked at.

import { json, picture, Refused, search } from "./dicomweb.js";
import { count, make, say, show } from "./dom.js";
import { thumbnail } from "./studies.js";
import { Viewer } from "./viewer.js";

const LOOK_MS = 700; // between two looks at how far a job is

/** Show a study; `about` is what the list knew of it. */
export async function study(about, go) {
  if (!about?.uid) {
    go("studies");
    return null;
  }
  const found = await search(`/studies/${about.uid}/series`, { includefield: "0008103E,00201209" });
  found.sort((one, other) => (one.number("00200011") ?? 1e9) - (other.number("00200011") ?? 1e9));
  const ohif = await hasOhif();
  const viewer = new Viewer(about.uid);
  const list = make("ul", { class: "series" });
  const buttons = found.map((series) => {
    const uid = series.text("0020000E");
    const words = series.text("0008103E") || `Series ${series.text("00200011") || "?"}`;
    const images = Number(series.text("00201209")) || 0;
    const button = make(
      "button",
      { type: "button", click: () => choose(button, uid) },
      thumbnail(picture("thumbnail", [about.uid, uid], { viewport: "96,96" })),
      make("span", { class: "words" }, words),
      make("span", { class: "small" }, [series.text("00080060"), images ? count(images, "image") : ""].filter(Boolean).join(" · ")),
    );
    list.append(make("li", {}, button));
    return button;
  });
  const choose = async (button, uid) => {
    for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
    try {
      await viewer.open(uid);
    } catch (error) {
      say(error instanceof Refused ? error.message : "The series could not be opened.", true);
    }
  };
  show(
    make(
      "div",
      { class: "heading" },
      make("div", {}, make("h1", {}, about.name), make("p", { class: "small" }, [about.id, about.date, about.description].filter(Boolean).join(" · "))),
      make("div", { class: "acts" }, ohif ? openInOhif(about) : null, send(about), make("a", { class: "button", href: "#studies" }, "All studies")),
    ),
    make("div", { class: "study" }, make("section", { "aria-label": "Series" }, list), viewer.element),
  );
  if (buttons.length) await choose(buttons[0], found[0].text("0020000E"));
  else say("This study has no series that you may see.", true);
  return () => viewer.close();
}

async function hasOhif() {
  try {
    return (await json("/viewer/installed.json")).installed === true;
  } catch {
    return false; // the study is shown all the same
  }
}

/** A link to OHIF where it is installed; the study stands behind the #, which is sent to nobody. */
function openInOhif(about) {
  const asked = new URLSearchParams({ StudyInstanceUIDs: about.uid });
  return make("a", { class: "button", href: `/viewer/viewer#${asked}`, target: "_blank", rel: "noopener" }, "Open in OHIF");
}

/** A button that has the study sent to a destination (`/api/jobs`), and shows how far it is. */
function send(about) {
  const dialog = make("dialog", { "aria-labelledby": "send-title" });
  const field = make("input", { name: "destination", maxlength: "16", required: true, autocomplete: "off", autocapitalize: "characters" });
  const told = make("p", { role: "status" });
  const progress = make("progress", { max: "1", value: "0", "aria-label": "Images sent", hidden: true });
  const begin = make("button", { type: "submit", class: "main" }, "Send");
  let asked = 0; // whoever closes the dialog is told no more

  const submit = async (event) => {
    event.preventDefault();
    const turn = ++asked;
    begin.disabled = true;
    told.textContent = "Asked for.";
    try {
      let job = await json("/api/jobs", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify({ study: about.uid, destination: field.value.trim() }),
      });
      while (turn === asked) {
        progress.hidden = false;
        progress.max = Math.max(job.total, 1);
        progress.value = job.completed + job.warning + job.failed;
        told.textContent = words(job);
        if (job.ended_ms) break;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        job = await json(`/api/jobs/${job.id}`);
      }
    } catch (error) {
      if (turn === asked) told.textContent = error.message;
    }
    begin.disabled = false;
  };
  dialog.append(
    make("h2", { id: "send-title" }, "Send this study"),
    make("form", { submit }, make("label", {}, "Destination (AE title)", field), progress, told, begin, " ", make("button", { type: "button", click: () => dialog.close() }, "Close")),
  );
  dialog.addEventListener("close", () => {
    asked += 1;
    told.textContent = "";
    progress.hidden = true;
  });
  return make("span", {}, make("button", { type: "button", click: () => dialog.showModal() }, "Send to…"), dialog);
}

function words(job) {
  const sent = job.completed + job.warning;
  if (job.state === "done") return `Done: ${count(sent, "image")} sent${job.failed ? `, ${job.failed} not` : ""}.`;
  if (job.state === "failed") return `It failed: ${job.last_error ?? "no reason was given"}`;
  if (job.state === "cancelled") return `Cancelled after ${count(sent, "image")}.`;
  return job.total ? `${sent} of ${count(job.total, "image")} sent` : "Waiting for its turn.";
}
