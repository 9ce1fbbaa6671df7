// Decodes the text of an XML element. The few documents that are read are flat, so regular expressions find elements.

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Replaces character references; one that is no character stays as it is. */
export function decodeXmlText(text: string): string {
  return text.replace(
    /&(?:#(x?)([0-9a-f]{1,8})|(amp|lt|gt|quot|apos));/gi,
    (whole, hex: string, digits: string, entity) => {
      if (entity !== undefined) return ENTITIES[String(entity).toLowerCase()] ?? whole;
      const code = Number.parseInt(digits, hex === "" ? 10 : 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
