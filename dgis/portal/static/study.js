// One study: its series, and the one that is looked at.

import { picture, Refused, search } from "./dicomweb.js";
import { count, make, say, show } from "./dom.js";
import { thumbnail } from "./studies.js";
import { Viewer } from "./viewer.js";

/** Show a study; `about` is what the list knew of it. */
export async function study(about, go) {
  if (!about?.uid) {
    go("studies");
    return null;
  }
  const found = await search(`/studies/${about.uid}/series`, { includefield: "0008103E,00201209" });
  found.sort((one, other) => (one.number("00200011") ?? 1e9) - (other.number("00200011") ?? 1e9));
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
      make("div", { class: "acts" }, make("a", { class: "button", href: "#studies" }, "All studies")),
    ),
    make("div", { class: "study" }, make("section", { "aria-label": "Series" }, list), viewer.element),
  );
  if (buttons.length) await choose(buttons[0], found[0].text("0020000E"));
  else say("This study has no series that you may see.", true);
  return () => viewer.close();
}
