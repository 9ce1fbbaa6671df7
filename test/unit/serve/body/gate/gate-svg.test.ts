// An SVG is an image from the name of its root element on, and whole at the end tag of that element.
import { describe, expect, test } from "vitest";
import { gated, gatedIn, wholeAfter } from "../../../../helpers/gated.ts";

const END = { isFramingWhole: true, isHashRight: true } as const;
const SVG = { format: "svg", width: undefined, height: undefined } as const;
const SUBSET = `<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd" [
  <!-- it's a ] > comment --><?note ]>'?>
  <!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;]>"><!ENTITY % p '">'>
  <!ELEMENT svg ANY> ]>`;

describe("whole documents", () => {
  test.each([
    ["a root without content", "<svg/>"],
    ["a root with a namespace", '<svg xmlns="http://www.w3.org/2000/svg" width="8"/>'],
    ["a root in a prefixed namespace", '<ns0:svg xmlns:ns0="http://www.w3.org/2000/svg"></ns0:svg>'],
    ["nested SVG", "<svg><svg><svg/></svg><g><svg></svg></g></svg>"],
    [
      "a byte order mark, a declaration and comments",
      '\xef\xbb\xbf<?xml version="1.0"?>\r\n<!-- GIF89a <svg> -->\n<svg></svg>',
    ],
    ["blanks", "\n\t  <svg ></svg >"],
    ["a DOCTYPE", "<!DOCTYPE svg>\n<svg></svg>"],
    ["a DOCTYPE with a subset and entities", `<?xml version="1.0"?>${SUBSET}<svg>&lol2;</svg>`],
    ["end tags that are no tags", `<svg a="</svg>" b='"></svg>'><!-- </svg> --><![CDATA[</svg>]]]><?x </svg>?>.</svg>`],
    ["bytes of GBK", "<svg><text>\xb1\x5c\xd6\xd0</text></svg>"],
  ])("structure is whole at the last byte of %s, however it arrives", (_, text) => {
    const body = Buffer.from(text, "latin1");
    expect(wholeAfter(body)).toBe(body.length);
    for (const gate of [gated(body, "\n<!-- more -->"), gatedIn(body, [1]), gatedIn(body, [3, 1, 7])]) {
      for (const framing of ["length", "chunked", "close"] as const)
        expect(gate.verdict({ framing, ...END })).toEqual({ kind: "whole", image: SVG });
    }
  });

  test("a cut document is truncated, or suspect if its declared length was met", () => {
    const body = Buffer.from('<?xml version="1.0"?><svg><svg></svg>', "latin1");
    for (const gate of [gated(body), gatedIn(body, [1])]) {
      expect(gate.head).toBe("image");
      expect(gate.verdict({ framing: "chunked", ...END })).toEqual({ kind: "broken", code: "origin_truncated" });
      expect(gate.verdict({ framing: "close", ...END })).toEqual({ kind: "broken", code: "origin_truncated" });
      expect(gate.verdict({ framing: "length", ...END })).toEqual({ kind: "suspect", image: SVG, reason: "structure" });
    }
  });

  test.each([
    ["another end tag", "<svg></svh>"],
    ["an element that stays open", "<svg><br></svg>"],
    ["a tag that stays open", "<svg></svg"],
    ["an attribute that stays open", '<svg a="></svg>'],
    ["a comment that stays open", "<svg><!-- </svg>"],
  ])("structure is not whole for %s", (_, text) => {
    expect(wholeAfter(Buffer.from(text, "latin1"))).toBeUndefined();
  });
});

describe("other text", () => {
  test.each([
    ["HTML with an SVG inside", "<!DOCTYPE html><html><svg></svg></html>"],
    ["another root that contains one", '<?xml version="1.0"?><x><svg></svg></x>'],
    ["another letter case", "<SVG></SVG>"],
    ["a longer name", "<svgs></svgs>"],
    ["text before the root", "logo: <svg></svg>"],
    ["text between comment and root", "<!-- a -->b<svg></svg>"],
    ["an end tag", "</svg>"],
    ["a mark alone", "\xef\xbb\xbfsvg"],
    ["a name without end", `<${"s".repeat(1000)}`],
    ["UTF-16 without a mark, low byte first", "<\0s\0v\0g\0/\0>\0"],
    ["UTF-16 without a mark, high byte first", "\0<\0s\0v\0g\0/\0>"],
    ["UTF-16 with a mark, high byte first", "\xfe\xff\0<\0s\0v\0g\0/\0>"],
  ])("head is foreign for %s", (_, text) => {
    const body = Buffer.from(text, "latin1");
    for (const gate of [gated(body), gatedIn(body, [1])]) {
      expect([gate.head, gate.image, gate.isStructureWhole]).toEqual(["foreign", undefined, false]);
      expect(gate.verdict({ framing: "length", ...END })).toEqual({ kind: "broken", code: "origin_not_image" });
    }
  });

  test("head stays open before the root, and a body that ends there is no image", () => {
    for (const text of ["", " ", "<", "<!--", '<?xml version="1.0"?>', "<!DOCTYPE svg [<!ENTITY a '", "<sv"]) {
      const gate = gatedIn(Buffer.from(text, "latin1"), [1]);
      expect([text, gate.head]).toEqual([text, "more"]);
      expect(gate.verdict({ framing: "close", ...END })).toMatchObject({ kind: "broken" });
    }
  });

  test("a gate holds nothing of a prolog without end", () => {
    const gate = gated("<!-- ");
    const chunk = Buffer.alloc(1 << 20, "-");
    const before = process.memoryUsage().arrayBuffers;
    for (let mebibyte = 0; mebibyte < 16; mebibyte += 1) gate.push(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 19);
    expect(gate.head).toBe("more");
  });
});
