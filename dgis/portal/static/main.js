// Which view is shown. What is looked at is kept in the state of the history, never in the address: an
// original UID identifies a patient, and addresses are kept and passed on.

import { json, Refused } from "./dicomweb.js";
import { make, say, show } from "./dom.js";
import { grid } from "./grid.js";
import { studies } from "./studies.js";
import { study } from "./study.js";
import { upload } from "./upload.js";

const VIEWS = { studies, study, upload, grid };
let leave = () => {};

/** Go to a view; `about` is what it shows. */
export function go(name, about = null) {
  history.pushState({ about }, "", `#${name}`);
  open();
}

async function open() {
  leave();
  leave = () => {};
  const name = location.hash.slice(1);
  const view = Object.hasOwn(VIEWS, name) ? name : "studies";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === `#${view}` || (view === "study" && link.hash === "#studies");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  say("");
  try {
    leave = (await VIEWS[view](history.state?.about ?? null, go)) ?? (() => {});
  } catch (error) {
    show(notice(error));
  }
}

/** What went wrong, for people. */
export function notice(error) {
  const words = error instanceof Refused ? error.message : "The gateway did not answer.";
  return make("p", { class: "notice", role: "alert" }, words);
}

async function introduce() {
  try {
    const caller = await json("/api/caller");
    // The same page says who is logged in, and logs out.
    document.getElementById("who").replaceChildren(make("a", { href: "/login" }, caller.name));
  } catch {
    // Where browsers log in, there is a page for it.
    document.getElementById("who").replaceChildren(make("a", { href: "/login?back=/" }, "Log in"));
  }
}

// A link that leads where one is already must not be two entries of the history.
addEventListener("popstate", open);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
introduce();
open();
