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

/** The documented names of each family, in lower case and without an ending. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  [SANS]: ["msyh", "msyhbd", "微软雅黑", "simhei", "黑体"],
  [SERIF]: ["simsun", "nsimsun", "宋体", "simfang", "仿宋", "fangsong", "simkai", "楷体", "kaiti"],
  [LATIN_SANS]: ["arial", "helvetica", "tahoma", "verdana"],
  [LATIN_SERIF]: ["times", "times new roman", "georgia"],
  [MONOSPACED]: ["courier", "courier new"],
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
  return Object.keys(NAMES).find((family) => NAMES[family]?.includes(bare)) ?? SANS;
}
