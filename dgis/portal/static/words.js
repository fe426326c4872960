// Values of DICOM as people read them.

/** 20240131 as 2024-01-31. */
export function date(text) {
  return /^\d{8}$/.test(text) ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}` : text;
}

/** Doe^Jane as Doe, Jane. */
export function person(text) {
  const [family = "", given = "", middle = ""] = text.split("^");
  const rest = [given, middle].filter(Boolean).join(" ");
  return [family, rest].filter(Boolean).join(", ");
}

/** Bytes in the unit that fits. */
export function bytes(size) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let place = 0;
  let left = size;
  while (left >= 1000 && place < units.length - 1) {
    left /= 1000;
    place += 1;
  }
  return `${left.toFixed(left < 10 && place ? 1 : 0)} ${units[place]}`;
}
