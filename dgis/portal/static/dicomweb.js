// What the gateway is asked (DICOM PS3.18): everything on this page comes through here.

const ROOT = "/dicom-web";

/** A refusal, in the words of its problem document (RFC 9457). */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

async function refusal(response) {
  let words = response.statusText || `status ${response.status}`;
  try {
    const said = await response.json();
    words = said.detail || said.title || words;
  } catch {
    // no document: the status alone has to do
  }
  if (response.status === 401) words = `Please log in: ${words}`;
  return new Refused(response.status, words);
}

/** Ask for JSON; null where there is nothing to list. */
export async function json(path, options = {}) {
  const response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  if (response.status === 204) return null;
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Search (QIDO-RS); a list of data sets, each a `DataSet`. */
export async function search(path, keys) {
  const asked = new URLSearchParams(keys);
  const found = await json(`${ROOT}${path}?${asked}`, { headers: { Accept: "application/dicom+json" } });
  return (found ?? []).map((each) => new DataSet(each));
}

/** Where a picture lies; `parts` are study, series, instance, frame. */
export function picture(kind, [study, series, instance, frame], parameters = {}) {
  let path = `${ROOT}/studies/${study}`;
  if (series) path += `/series/${series}`;
  if (instance) path += `/instances/${instance}`;
  if (frame) path += `/frames/${frame}`;
  const asked = new URLSearchParams(parameters).toString();
  return `${path}/${kind}${asked ? `?${asked}` : ""}`;
}

/** Fetch a picture. */
export async function fetchPicture(url, signal) {
  const response = await fetch(url, { headers: { Accept: "image/jpeg" }, signal });
  if (!response.ok) throw await refusal(response);
  return createImageBitmap(await response.blob());
}

/** What an instance says of its own showing (WADO-RS metadata); null where it cannot be had. */
export async function metadata(study, series, instance) {
  const path = `${ROOT}/studies/${study}/series/${series}/instances/${instance}/metadata`;
  try {
    const found = await json(path, { headers: { Accept: "application/dicom+json" } });
    return found?.length ? new DataSet(found[0]) : null;
  } catch (error) {
    if (error instanceof Refused && error.status !== 401) return null;
    throw error;
  }
}

/** Store files (STOW-RS); what the gateway says of each: how many taken, how many not and why. */
export async function store(files) {
  const boundary = `dgis${crypto.randomUUID().replaceAll("-", "")}`;
  const parts = [];
  for (const file of files) {
    parts.push(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, file, "\r\n");
  }
  parts.push(`--${boundary}--\r\n`);
  const response = await fetch(`${ROOT}/studies`, {
    method: "POST",
    body: new Blob(parts),
    headers: {
      Accept: "application/dicom+json",
      "Content-Type": `multipart/related; type="application/dicom"; boundary=${boundary}`,
    },
  });
  // 200 all, 202 some, 409 none: each with a list (PS3.18 10.5.3). Anything else is a refusal.
  const listed = (response.headers.get("Content-Type") ?? "").includes("application/dicom+json");
  if (!listed) throw await refusal(response);
  const said = await response.json();
  const answer = new DataSet(Array.isArray(said) ? said[0] ?? {} : said);
  return { taken: answer.count("00081199"), refused: answer.count("00081198") };
}

/** A data set of the DICOM JSON model (PS3.18 Annex F), read by tag. */
export class DataSet {
  constructor(elements) {
    this.elements = elements;
  }

  values(tag) {
    return this.elements[tag]?.Value ?? [];
  }

  text(tag) {
    const value = this.values(tag)[0];
    if (value === undefined || value === null) return "";
    return typeof value === "object" ? value.Alphabetic ?? "" : String(value);
  }

  number(tag) {
    const value = Number(this.values(tag)[0]);
    return Number.isFinite(value) ? value : null;
  }

  count(tag) {
    return this.values(tag).length;
  }

  /** The first item of a sequence within a sequence, for functional groups. */
  within(outer, inner) {
    const item = this.values(outer)[0]?.[inner]?.Value?.[0];
    return item ? new DataSet(item) : null;
  }
}
