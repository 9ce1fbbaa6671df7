// Which fileid the raw end of a path means. Clients spell them in three ways: most as a form would, with `+` for a blank;
// some percent-encoded; Python 3 not at all. A token that is bound to a file says which it was. Pure.
import { isKey, type Key } from "../../core/object.ts";
import { percentDecoded } from "../request/target.ts";
import { invalidPath } from "./target.ts";

/** Of a fileid in a path of the API, decoded. Inside, keys may be longer. */
const MAX_FILEID_BYTES = 128;

/**
 * `bound`: the file that a verified token is bound to, which wins where it is one of the three readings; undefined or empty
 * for none. Throws rest_path_invalid.
 */
export function readFileid(raw: string, bound: string | undefined): Key {
  const asForm = formDecoded(raw);
  const byToken = [asForm, plainDecoded(raw), undecoded(raw)].find((name) => name !== undefined && name === bound);
  const fileid = byToken ?? asForm;
  if (fileid === undefined) throw invalidPath("its fileid is none");
  return fileid;
}

/** The fileids that a stat may mean, the likeliest first. Throws rest_path_invalid where there is none. */
export function statFileids(raw: string, bound: string | undefined): readonly Key[] {
  const whole = readings(raw, bound);
  const cut = raw.endsWith("/") ? readings(raw.slice(0, -1), bound) : [];
  const all = new Set([...whole, ...cut]);
  if (all.size === 0) throw invalidPath("its fileid is none");
  return [...all];
}

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
    return undefined; // A broken escape, or no UTF-8.
  }
}

function undecoded(raw: string): Key | undefined {
  const text = Buffer.from(raw, "latin1").toString("utf8");
  return text.includes("\ufffd") ? undefined : fileidOf(text);
}

function fileidOf(text: string): Key | undefined {
  return Buffer.byteLength(text) <= MAX_FILEID_BYTES && isKey(text) ? text : undefined;
}
