// Decodes the fileid at the end of a raw path. Most clients encode it like a form (`+` is a space), some percent-encode
// it, and Python 3 sends it raw. A token that is bound to a file shows which of the three is meant. Pure.
import { isKey, type Key } from "../../../core/object.ts";
import { percentDecoded } from "../request/target.ts";
import { invalidPath } from "./target.ts";

/** Limit of a decoded fileid in an API path. Keys of downloads may be longer. */
const MAX_FILEID_BYTES = 128;

/**
 * The fileid of a write call. `bound`: the file of a verified token, undefined or empty for none; it wins if it equals
 * one of the three readings. Throws rest_path_invalid.
 */
export function readFileid(raw: string, bound: string | undefined): Key {
  const [fileid] = readings(raw, bound);
  if (fileid === undefined) throw invalidPath("its fileid is not valid");
  return fileid;
}

/** The fileids that a stat may mean, the likeliest first. Throws rest_path_invalid if there is none. */
export function statFileids(raw: string, bound: string | undefined): readonly Key[] {
  const whole = readings(raw, bound);
  const cut = raw.endsWith("/") ? readings(raw.slice(0, -1), bound) : [];
  const all = new Set([...whole, ...cut]);
  if (all.size === 0) throw invalidPath("its fileid is not valid");
  return [...all];
}

/** The likeliest first: the token's, as a form, percent-encoded. */
function readings(raw: string, bound: string | undefined): readonly Key[] {
  const decoded = [formDecoded(raw), plainDecoded(raw)];
  const byToken = [...decoded, undecoded(raw)].filter((name) => name !== undefined && name === bound);
  return [...byToken, ...decoded].filter((name) => name !== undefined);
}

function formDecoded(raw: string): Key | undefined {
  return plainDecoded(raw.replaceAll("+", "%20"));
}

function plainDecoded(raw: string): Key | undefined {
  try {
    return fileidOf(percentDecoded(raw));
  } catch {
    return undefined; // A broken escape, or not UTF-8.
  }
}

function undecoded(raw: string): Key | undefined {
  const text = Buffer.from(raw, "latin1").toString("utf8");
  return text.includes("\ufffd") ? undefined : fileidOf(text);
}

function fileidOf(text: string): Key | undefined {
  return Buffer.byteLength(text) <= MAX_FILEID_BYTES && isKey(text) ? text : undefined;
}
