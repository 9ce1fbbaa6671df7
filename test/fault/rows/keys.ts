// Rows about awkward names: the request target at the origin, separate bytes for each name, and names that are refused
// before any I/O.
import { response } from "../../helpers/scripted-origin.ts";
import type { Fault, FaultGroup } from "../fault.ts";
import { getStored, type Lab, tell } from "../lab.ts";

interface KeySeen {
  readonly client: string;
  /** The request target at the origin; `–` if the origin got no request. */
  readonly target: string;
  /** A second request for the same URL: served from the store, with the bytes of its own name. */
  readonly again: string;
}

const same = (path: string): KeySeen => ({ client: "200 whole", target: path, again: "200 whole, hit" });
const asked = (target: string): KeySeen => ({ client: "200 whole", target, again: "200 whole, hit" });
const INVALID: KeySeen = { client: "400, -106", target: "–", again: "400, -106" };

/** All keys are below this folder, so that no other group's row is affected. */
const ROOT = "/keys/";

/** Description, path below ROOT, and expected result (`target` is also below ROOT). */
const ROWS: readonly (readonly [string, string, KeySeen])[] = [
  ["unreserved", "a-b._~1.jpg", same("a-b._~1.jpg")],
  ["sub-delimiters as they are", "a!$&'()*,;=:@.jpg", same("a!$&'()*,;=:@.jpg")],
  ["sub-delimiters escaped", "b%21%24%26%27%28%29%2A%2C%3B%3D%3A%40.jpg", asked("b!$&'()*,;=:@.jpg")],
  ["%61 for a", "%61bc.jpg", asked("abc.jpg")],
  ["%2F", "two%2Fparts.jpg", asked("two/parts.jpg")],
  ["%25", "100%25.jpg", same("100%25.jpg")],
  ["%2525, decoded once", "100%2525.jpg", same("100%2525.jpg")],
  ["%20", "a%20b.jpg", same("a%20b.jpg")],
  ["a plus", "a+b.jpg", asked("a%2Bb.jpg")],
  ["%2B", "c%2Bd.jpg", same("c%2Bd.jpg")],
  ["%3F, no query", "a%3Fb.jpg", same("a%3Fb.jpg")],
  ["%23, no fragment", "a%23b.jpg", same("a%23b.jpg")],
  ["lower-case hex", "%e5%9b%be.jpg", asked("%E5%9B%BE.jpg")],
  ["upper-case hex", "%E5%9B%BE2.jpg", same("%E5%9B%BE2.jpg")],
  ["NFC", "caf%C3%A9.jpg", same("caf%C3%A9.jpg")],
  ["NFD of the same word", "cafe%CC%81.jpg", same("cafe%CC%81.jpg")],
  ["emoji", "%F0%9F%90%BC.jpg", same("%F0%9F%90%BC.jpg")],
  ["an empty segment", "a//b.jpg", same("a//b.jpg")],
  ["a trailing slash", "folder/", same("folder/")],
  ["the same without the slash", "folder", same("folder")],
  ["below a name that is an object", "folder/inside.jpg", same("folder/inside.jpg")],
  ["upper case", "CASE.jpg", same("CASE.jpg")],
  ["the same in lower case", "case.jpg", same("case.jpg")],
  ["a Windows device", "CON", same("CON")],
  ["a trailing dot", "name.", same("name.")],
  ["a name of dots", "...", same("...")],
  ["a backslash", "a%5Cb.jpg", same("a%5Cb.jpg")],
  ["a drive and a stream", "C:%5Ca.jpg:stream", asked("C:%5Ca.jpg:stream")],
  ["a line break", "a%0Ab.jpg", same("a%0Ab.jpg")],
  ["128 bytes of UTF-8", `${"%E5%9B%BE".repeat(42)}12`, same(`${"%E5%9B%BE".repeat(42)}12`)],
  ["129 bytes of UTF-8", "%E5%9B%BE".repeat(43), same("%E5%9B%BE".repeat(43))],
  ["a segment of 300 bytes", "x".repeat(300), same("x".repeat(300))],
  ["1024 bytes", "y".repeat(1024 - "keys/".length), same("y".repeat(1024 - "keys/".length))],
  ["1025 bytes", "z".repeat(1025 - "keys/".length), INVALID],
  ["NUL", "a%00b.jpg", INVALID],
  ["bytes that are not UTF-8", "%FF%FE.jpg", INVALID],
  ["an overlong slash", "a%C0%AFb.jpg", INVALID],
  ["half of a surrogate pair", "a%ED%A0%80b.jpg", INVALID],
  ["a broken escape", "a%zz.jpg", INVALID],
  ["an escape cut off", "a%2", INVALID],
  [". as a segment", "./a.jpg", INVALID],
  [".. as a segment", "../a.jpg", INVALID],
  ["%2e%2e", "%2e%2e/a.jpg", INVALID],
  [".%2E%2f", ".%2E%2fa.jpg", INVALID],
  [".. at the end", "a/..", INVALID],
];

/** A whole JPEG with its name as trailing bytes, so that each key has different bytes. */
function pictureOf(lab: Lab, target: string): Buffer {
  return Buffer.concat([lab.picture, Buffer.from(target)]);
}

function keyFault([what, name, expected]: (typeof ROWS)[number], index: number): Fault {
  const isServed = expected.target !== "–";
  const target = isServed ? ROOT + expected.target : "–";
  const path = ROOT + name;
  return {
    id: `key-${index}`,
    what: `${what}: ${shorten(name)}`,
    expected: { ...expected, target: shorten(target) },
    async observe(lab) {
      const before = lab.origin.requests.length;
      lab.script(target, [response(pictureOf(lab, target))]);
      const wanted = pictureOf(lab, target);
      const first = tell(await lab.get({ path }), wanted);
      const second = await (isServed ? getStored(lab, { path }) : lab.get({ path }));
      const targets = lab.origin.requests.slice(before).map((request) => request.target);
      const isAsked = targets.filter((each) => each === target).length;
      const again = tell(second, wanted) + (/; hit/.test(String(second.headers["cache-status"])) ? ", hit" : "");
      if (isServed && second.status === 200) lab.keep(path, wanted);
      return { client: first, target: isAsked === 1 ? shorten(target) : isAsked === 0 ? "–" : "ASKED TWICE", again };
    },
  };
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 40)}… (${text.length} characters)`;
}

export const keys: FaultGroup = {
  title: "Names",
  about:
    "The request path, byte for byte, and the path at the origin. Every name has a different image, so two names that share a file would be noticed. A name is decoded once, and `+` is a plus.",
  faults: ROWS.map(keyFault),
};
