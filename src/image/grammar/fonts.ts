// Maps font names of the manual (proprietary Windows fonts) to free families, which Debian installs with fonts-noto-cjk
// and fonts-dejavu-core. fontconfig replaces a family missing on the machine, so text never fails because of its font.

const SANS = "Noto Sans CJK SC";
const SERIF = "Noto Serif CJK SC";
// A family without Chinese is followed by one with it. Otherwise fontconfig chooses the Japanese forms of the
// characters.
/** Has the widths of Verdana and Tahoma. */
const LATIN_SANS = `DejaVu Sans,${SANS}`;
const LATIN_SERIF = `DejaVu Serif,${SERIF}`;
const MONOSPACED = "DejaVu Sans Mono,Noto Sans Mono CJK SC";

const FAMILIES: Readonly<Record<string, string>> = {
  msyh: SANS,
  msyhbd: SANS,
  微软雅黑: SANS,
  simhei: SANS,
  黑体: SANS,
  simsun: SERIF,
  nsimsun: SERIF,
  宋体: SERIF,
  simfang: SERIF,
  仿宋: SERIF,
  fangsong: SERIF,
  simkai: SERIF,
  楷体: SERIF,
  kaiti: SERIF,
  arial: LATIN_SANS,
  helvetica: LATIN_SANS,
  tahoma: LATIN_SANS,
  verdana: LATIN_SANS,
  times: LATIN_SERIF,
  "times new roman": LATIN_SERIF,
  georgia: LATIN_SERIF,
  courier: MONOSPACED,
  "courier new": MONOSPACED,
};

export const DEFAULT_FONT = "tahoma.ttf";

/**
 * The family, or families by preference, for a documented font name, with or without `.ttf`, `.ttc` or `.otf`, in any
 * case. Unknown names give Noto Sans CJK.
 */
export function fontFamily(name: string): string {
  const bare = name
    .trim()
    .toLowerCase()
    .replace(/\.(ttf|ttc|otf)$/, "");
  return Object.hasOwn(FAMILIES, bare) ? (FAMILIES[bare] ?? SANS) : SANS;
}
