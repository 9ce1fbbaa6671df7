// Rows about tokens (Token 防盗链) that are forged, expired, cut, oversized or replayed, or whose key pair has been
// disabled.
import { createHmac } from "node:crypto";
import sharp from "sharp";
import { makeToken, type TokenFields } from "../../../src/serve/sign/token.ts";
import { eventually } from "../../helpers/program.ts";
import { APPID, KEYS } from "../../helpers/settings.ts";
import type { Fault, FaultGroup } from "../fault.ts";
import { tell } from "../lab.ts";
import { ONCE, ROTATED, ROTATED_APPID, ROTATED_KEYS, SIGNED } from "../lab-settings.ts";

const FILE = "signed/a b.jpg";
/** The file's path, both for clients and at the origin. */
export const SIGNED_PATH = "/signed/a%20b.jpg";
const [FIRST, SECOND] = KEYS;
const seconds = () => Math.floor(Date.now() / 1_000);
let random = 0;

/** Fields of a token that permits FILE for an hour, with changes. */
function fields(changes: Partial<TokenFields> = {}): TokenFields {
  random += 1;
  return {
    appid: APPID,
    bucket: "signed",
    secretId: FIRST.secretId,
    expires: seconds() + 3_600,
    issuedAt: seconds() - 10,
    random,
    userid: "0",
    fileid: FILE,
    ...changes,
  };
}

const token = (changes: Partial<TokenFields> = {}, secretKey: string = FIRST.secretKey) =>
  makeToken(fields(changes), secretKey);
const query = (sign: string) => `?sign=${encodeURIComponent(sign)}`;

/** A token with any plaintext and a correct MAC. */
function signText(text: string): string {
  return Buffer.concat([createHmac("sha1", FIRST.secretKey).update(text).digest(), Buffer.from(text)]).toString(
    "base64",
  );
}

function changed(sign: string, change: (bytes: Buffer) => Buffer): string {
  return change(Buffer.from(sign, "base64")).toString("base64");
}

const flip = (at: number) => (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
};

/** A token whose text contains a plus, which form decoding turns into a blank. */
function tokenWithPlus(): string {
  for (;;) {
    const sign = token();
    if (sign.includes("+")) return sign;
  }
}

/** A token whose text ends in `=`. */
function tokenWithPadding(): string {
  const sign = token({ fileid: "" });
  const missing = [0, 1, 2].find((count) => token({ userid: "0".repeat(count + 1), fileid: "" }).endsWith("="));
  return sign.endsWith("=") ? sign : token({ userid: "0".repeat((missing ?? 0) + 1), fileid: "" });
}

const ALLOWED = "200 whole";
const REFUSED = "403, -46618";
const EXPIRED = "403, -46619";

/** Id, description, the query, expected response. */
const ROWS: readonly (readonly [string, string, () => string, string])[] = [
  ["none", "no token", () => "", REFUSED],
  ["bound", "bound to the file", () => query(token()), ALLOWED],
  ["unbound", "for any file", () => query(token({ fileid: "" })), ALLOWED],
  [
    "second-pair",
    "of the second key pair",
    () => query(token({ secretId: SECOND.secretId }, SECOND.secretKey)),
    ALLOWED,
  ],
  ["raw-plus", "+ not escaped", () => `?sign=${tokenWithPlus()}`, ALLOWED],
  ["plus-as-blank", "+ turned into %20", () => `?sign=${tokenWithPlus().replaceAll("+", "%20")}`, ALLOWED],
  ["no-padding", "without its =", () => query(tokenWithPadding().replaceAll("=", "")), ALLOWED],
  ["twice-equal", "the same token twice", () => `${query(token())}`.replace(/^\?(.*)$/, "?$1&$1"), ALLOWED],
  [
    "twice-different",
    "two tokens that differ, both good",
    () => `${query(token())}&${query(token()).slice(1)}`,
    REFUSED,
  ],
  ["future", "issued in an hour", () => query(token({ issuedAt: seconds() + 1_800 })), ALLOWED],
  ["expired", "expired a second ago", () => query(token({ expires: seconds() - 1 })), EXPIRED],
  ["expires-now", "expires now", () => query(token({ expires: seconds() })), EXPIRED],
  ["too-long-a-life", "lives for 93 days", () => query(token({ expires: seconds() + 93 * 86_400 })), REFUSED],
  [
    "postponed",
    "issued in 92 days, lives for 92 more",
    () => query(token({ issuedAt: seconds() + 7_900_000, expires: seconds() + 15_000_000 })),
    REFUSED,
  ],
  ["wrong-appid", "of another appid", () => query(token({ appid: "10009998" })), REFUSED],
  [
    "foreign-pair",
    "of another project's key pair",
    () => query(token({ secretId: ROTATED_KEYS[0].secretId }, ROTATED_KEYS[0].secretKey)),
    REFUSED,
  ],
  ["wrong-bucket", "of another bucket", () => query(token({ bucket: "photos" })), REFUSED],
  ["wrong-file", "of another file", () => query(token({ fileid: "signed/other.jpg" })), REFUSED],
  [
    "escaped-file",
    "of the file's name as it is escaped in the URL",
    () => query(token({ fileid: "signed/a%20b.jpg" })),
    REFUSED,
  ],
  ["file-with-f", "of a file whose name holds &f=", () => query(token({ fileid: `x&f=${FILE}` })), REFUSED],
  ["wrong-secret", "signed with the other pair's secret", () => query(token({}, SECOND.secretKey)), REFUSED],
  ["unknown-pair", "of an unknown key pair", () => query(token({ secretId: "AKIDNOBODY" })), REFUSED],
  [
    "repeated-field",
    "two f, signed by the right key",
    () =>
      query(signText(`a=${APPID}&b=signed&b=photos&k=${FIRST.secretId}&e=${seconds() + 60}&t=${seconds()}&r=1&u=0&f=`)),
    REFUSED,
  ],
  [
    "unknown-field",
    "an unknown field, signed by the right key",
    () => query(signText(`a=${APPID}&b=signed&k=${FIRST.secretId}&e=${seconds() + 60}&t=${seconds()}&r=1&u=0&x=1&f=`)),
    REFUSED,
  ],
  ["tampered-mac", "one bit of the MAC changed", () => query(changed(token(), flip(0))), REFUSED],
  ["tampered-text", "one bit of the text changed", () => query(changed(token(), flip(60))), REFUSED],
  ["cut", "its last 4 characters cut off", () => query(token().slice(0, -4)), REFUSED],
  ["mac-only", "20 bytes", () => query(changed(token(), (bytes) => bytes.subarray(0, 20))), REFUSED],
  ["url-safe", "in the URL-safe alphabet", () => query(`${token().slice(0, 40)}-_${token().slice(42)}`), REFUSED],
  ["garbage", "garbage", () => "?sign=%25%25%25", REFUSED],
  ["broken-escape", "a broken escape", () => "?sign=%zz", REFUSED],
  ["7-kb", "7 kB", () => `?sign=${"A".repeat(7_000)}`, REFUSED],
  ["10-mb", "10 MB", () => `?sign=${"A".repeat(10_000_000)}`, "431, -103"],
  ["one-time-unbound", "one-time and for any file", () => query(token({ expires: 0, fileid: "" })), "403, -76"],
  [
    "one-time-old",
    "one-time, issued 93 days ago",
    () => query(token({ expires: 0, issuedAt: seconds() - 93 * 86_400 })),
    "403, -77",
  ],
];

const signed = ROWS.map(
  ([id, what, make, expected]): Fault => ({
    id: `sign-${id}`,
    what,
    expected: { client: expected },
    observe: async (lab) => ({
      client: tell(await lab.get({ path: SIGNED_PATH + make(), host: SIGNED }), lab.picture),
    }),
  }),
);

const otherInstruction: Fault = {
  id: "sign-other-instruction",
  what: "a processing instruction added to a signed URL",
  expected: { client: "200, 100 pixels wide" },
  observe: async (lab) => {
    const path = `${SIGNED_PATH}?imageView2/2/w/100&sign=${encodeURIComponent(token())}`;
    const seen = await lab.get({ path, host: SIGNED });
    if (seen.status !== 200) return { client: tell(seen, lab.picture) };
    return { client: `200, ${(await sharp(seen.body).metadata()).width} pixels wide` };
  },
};

const race: Fault = {
  id: "sign-one-time-race",
  what: "one one-time token, 50 clients at once, and once more after a restart",
  expected: { client: "1 × 200 whole; 49 × 403, -77" },
  async observe(lab) {
    const path = `/once.jpg${query(token({ bucket: "once", expires: 0, fileid: "once.jpg" }))}`;
    const seen = await Promise.all(Array.from({ length: 50 }, () => lab.get({ path, host: ONCE })));
    const results = seen.map((each) => tell(each, lab.picture));
    lab.spend(path, ONCE);
    return {
      client: [...new Set(results)]
        .sort()
        .map((text) => `${results.filter((each) => each === text).length} × ${text}`)
        .join("; "),
    };
  },
};

const disabled: Fault = {
  id: "sign-disabled",
  what: "the key pair is disabled while its token is in use; then the other pair",
  expected: { client: "200 whole; 403, -46618; 200 whole" },
  async observe(lab) {
    const made = ROTATED_KEYS.map(({ secretId, secretKey }) =>
      query(token({ appid: ROTATED_APPID, bucket: "rotated", secretId, fileid: "" }, secretKey)),
    );
    const ask = (index: number) => lab.get({ path: `/rotated.jpg${made[index]}`, host: ROTATED });
    const results = [tell(await ask(0), lab.picture)];
    await lab.disableFirstKey();
    await eventually(async () => (await ask(0)).status !== 200, "the new settings are in force");
    results.push(tell(await ask(0), lab.picture), tell(await ask(1), lab.picture));
    return { client: results.join("; ") };
  },
};

export const signatures: FaultGroup = {
  title: "Signatures",
  about: "Downloads from buckets that require a token. Invalid requests are refused before any I/O.",
  faults: [...signed, otherInstruction, race, disabled],
};
