// Finds the processing instruction in the query of a URL, by the names of the operations of all eras. It does not parse
// the instruction: an operation that the era does not have is refused there.

/** The processing instruction in a query; both are undefined if there is none, and the original is served. */
export interface Instruction {
  /** Decoded once. */
  readonly text: string | undefined;
  /** Not decoded. */
  readonly raw: string | undefined;
}

/** These operations of Tencent and Qiniu, known here or not, never silently give the original. */
const NAMES =
  "imageView imageMogr watermark imageslim roundPic imageInfo exif imageAve animate stitch qrcode saveas facecrop2 " +
  "sequickimage nrop qpulp qterror qpolitician vframe vsample avthumb avinfo";

/**
 * A name in any case, also with more letters directly after it (`imageView2format`). A pair such as `exifs=1` is an
 * ordinary parameter, and so are `watermark=1`, which has another meaning in old URLs, and the request for an original.
 */
const OPERATION = new RegExp(
  `^\\|*(?:image(?:View|Mogr)2|ci-process=(?!originImage$)|(?!watermark=.)(?:${NAMES.replaceAll(" ", "|")})(?:=|(?![\\w-]*=.)))`,
  "i",
);
const NOT_FOUND: Instruction = { text: undefined, raw: undefined };

/** `query`: raw, without the token. Other parameters may stand before or after the instruction, joined with `&`. */
export function findInstruction(query: string): Instruction {
  for (const raw of query.split("&")) {
    const text = decodeOnce(raw);
    if (OPERATION.test(text)) return { text, raw };
  }
  return NOT_FOUND;
}

function decodeOnce(part: string): string {
  if (!part.includes("%")) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // Not UTF-8, so it is no operation.
  }
}
