// Checks non-ASCII names: the mirror requests them in UTF-8, but old Chinese sites may name their files in GBK.
import type { Probe } from "../../origin/kinds/probe.ts";
import { finding, type Notes, originFailure, type Verdict } from "./finding.ts";
import type { Sample } from "./samples.ts";

const MEANS =
  "Keys are UTF-8, and other URLs get 400. Rename the files at the origin, or make it accept UTF-8 names (nginx: store them so; IIS and Apache: by module).";

export async function checkNames(probe: Probe, samples: readonly Sample[], notes: Notes): Promise<Verdict | undefined> {
  const gbk = samples.find((sample) => sample.kind === "gbk");
  if (gbk !== undefined) return finding.problem(`${gbk.name} is not UTF-8, but probably GBK`, MEANS);
  const keys = samples.filter((sample) => sample.kind === "key");
  const sample = keys.find(({ path }) => /[^\0-\x7f]/.test(path));
  if (sample === undefined) {
    const found = "no sample has a non-ASCII name, so it is unknown if the origin accepts UTF-8 names";
    return finding.note(found, "Add one if the site has such names: 图片/1.jpg");
  }
  notes.doing(`GET ${sample.name} in UTF-8 and in GBK`);
  const ask = async (target: string) => {
    try {
      return (await probe.ask({ method: "GET", target })).verdict;
    } catch (error) {
      return originFailure(error, notes).code;
    }
  };
  if ((await ask(probe.target(sample.path, sample.query))) === "whole")
    return finding.good(`${sample.name} is found under its UTF-8 name`);
  const raw = gbkPath(sample.path);
  if (raw !== undefined && (await ask(probe.rawTarget(`/${raw}`))) === "whole") {
    const found = `${sample.name} is not found under its UTF-8 name, but under its GBK name`;
    return finding.problem(found, MEANS);
  }
  return undefined;
}

// Lead and trail bytes of GBK, both ends inclusive.
const FIRST = [0x81, 0xfe] as const;
const SECOND = [0x40, 0xfe] as const;

/**
 * Encodes a path in GBK, in which many old Chinese sites name their files: percent-encoded except `/` and unreserved
 * characters; undefined if a character is not in GBK.
 */
export function gbkPath(path: string): string | undefined {
  const bytes = bytesOfGbk();
  let text = "";
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    const found = code < 0x80 ? [code] : bytes.get(character);
    if (found === undefined) return undefined;
    text += found.map(escaped).join("");
  }
  return text;
}

function escaped(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9\-._~/]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Node decodes GBK but does not encode it, so the table is made by decoding each pair of bytes. */
function bytesOfGbk(): ReadonlyMap<string, readonly number[]> {
  const decoder = new TextDecoder("gbk");
  const table = new Map<string, readonly number[]>();
  for (let first: number = FIRST[0]; first <= FIRST[1]; first += 1) {
    for (let second: number = SECOND[0]; second <= SECOND[1]; second += 1) {
      const text = decoder.decode(Uint8Array.of(first, second));
      if ([...text].length === 1 && text !== "\ufffd" && !table.has(text)) table.set(text, [first, second]);
    }
  }
  return table;
}
