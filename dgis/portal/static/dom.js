// Elements are made, never parsed from text: nothing a server says becomes markup.

/** Make an element; `properties` are attributes, functions become listeners, null leaves one out. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Say something to screen readers; `loud`: to everybody. */
export function say(words, loud = false) {
  const said = document.getElementById("said");
  said.textContent = words;
  said.classList.toggle("loud", loud);
}

/** Put a view in the middle of the page. */
export function show(...children) {
  document.getElementById("main").replaceChildren(...children);
}

/** A number with its noun. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
