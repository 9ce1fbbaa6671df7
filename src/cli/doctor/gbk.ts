// Encodes a path in GBK, in which many old Chinese sites name their files. Pure.

// Lead and trail bytes, both ends inclusive.
const FIRST = [0x81, 0xfe] as const;
const SECOND = [0x40, 0xfe] as const;

/** The path, percent-encoded except `/` and unreserved characters; undefined if a character is not in GBK. */
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
