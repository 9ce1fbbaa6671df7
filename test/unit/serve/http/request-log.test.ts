import fc from "fast-check";
import { expect, test } from "vitest";
import { clientAddress } from "../../../../src/serve/http/request/client-address.ts";
import { withoutToken } from "../../../../src/serve/http/request-log.ts";
import { tokenFromQuery } from "../../../../src/serve/sign/token.ts";
import { b64 } from "../../../helpers/rendering.ts";
import { anyText } from "../../../helpers/texts.ts";

test.each([
  ["/a.jpg", "/a.jpg"],
  ["/a.jpg?x=1", "/a.jpg?x=1"],
  ["/a.jpg?sign=abc%2Bdef%3D", "/a.jpg?sign=…"],
  ["/a.jpg?sign=abc&imageInfo", "/a.jpg?sign=…&imageInfo"],
  ["/a.jpg?imageInfo&sign=abc", "/a.jpg?imageInfo&sign=…"],
  ["/a.jpg?sign=abc&sign=def", "/a.jpg?sign=…&sign=…"],
  ["/a.jpg?sign=", "/a.jpg?sign=…"],
  ["/a.jpg?sign=ab?c=d/e", "/a.jpg?sign=…"],
  ["/\xe5\x9b\xbe\x9b.jpg?\u0007", "/%E5%9B%BE%9B.jpg?%07"],
  [`/a.jpg?watermark/1/image/${b64("http://a.example/m.png?sign=abc")}&sign=def`, "/a.jpg?watermark/1/image/…&sign=…"],
  [
    `/a.jpg?watermark/1/image/${b64("http://a.example/m.png?sign=abc").slice(0, 20)}.${b64("http://a.example/m.png?sign=abc").slice(20)}/x`,
    "/a.jpg?watermark/1/image/…",
  ],
  [`/a.jpg?WATERMARK/1/IMAGE/${b64("http://a.example/m.png?SIGN=abc")}`, "/a.jpg?WATERMARK/1/IMAGE/…"],
  [
    `/a.jpg?watermark%2f1%2fimage%2f${b64("http://a.example/m.png?a=1;sign=abc")}%2Fx`,
    "/a.jpg?watermark%2f1%2fimage%2f…",
  ],
  [
    `/a.jpg?watermark/1/image/${b64("http://a.example/m.png")}`,
    `/a.jpg?watermark/1/image/${b64("http://a.example/m.png")}`,
  ],
  ["/a.jpg?%73ign=abc;SIGN=def", "/a.jpg?%73ign=…"],
  ["http://u:secret@img.example/a.jpg", "http://…@img.example/a.jpg"],
  ["/a.jpg?design=x&signs=y", "/a.jpg?design=x&signs=y"],
  ["/sign=abc.jpg", "/sign=abc.jpg"],
  ["http://img.example/a?sign=abc", "http://img.example/a?sign=…"],
])("withoutToken(%j) is %j", (url, expected) => {
  expect(withoutToken(url)).toBe(expected);
});

test("withoutToken() leaves no token that the server would accept", () => {
  const piece = fc.constantFrom("?", "&", "sign=", "secret", "=", "a", "%26", "/", "#");
  const url = fc.array(piece).map((parts) => `/a${parts.join("")}`);
  fc.assert(
    fc.property(url, (asked) => {
      const logged = withoutToken(asked);
      const [, ...query] = logged.split("?");
      expect([undefined, "…"]).toContain(tokenFromQuery(query.join("?")).sign);
      if (!asked.includes("sign=")) expect(logged).toBe(asked);
    }),
    { numRuns: 1_000 },
  );
});

const TRUSTED = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"];

test.each<
  [claim: string, socket: string, forwarded: string | string[] | undefined, trusted: string[], expected: string]
>([
  ["nobody is trusted", "10.0.0.1", "203.0.113.9", [], "10.0.0.1"],
  ["nothing is forwarded", "10.0.0.1", undefined, TRUSTED, "10.0.0.1"],
  ["a stranger says who it is", "203.0.113.1", "198.51.100.1", TRUSTED, "203.0.113.1"],
  ["a trusted proxy says it", "10.0.0.1", "203.0.113.9", TRUSTED, "203.0.113.9"],
  ["a trusted single address says it", "192.0.2.7", "203.0.113.9", TRUSTED, "203.0.113.9"],
  ["its neighbour is not trusted", "192.0.2.8", "203.0.113.9", TRUSTED, "192.0.2.8"],
  ["the client made up hops", "10.0.0.1", "1.1.1.1, 10.9.9.9, 203.0.113.9", TRUSTED, "203.0.113.9"],
  ["several proxies stand in a row", "10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.3, 192.0.2.7", TRUSTED, "203.0.113.9"],
  ["all hops are trusted", "10.0.0.1", "10.0.0.4,10.0.0.3", TRUSTED, "10.0.0.4"],
  ["the header came twice", "10.0.0.1", ["1.1.1.1", "203.0.113.9"], TRUSTED, "203.0.113.9"],
  ["the hop is no address", "10.0.0.1", "203.0.113.9, unknown", TRUSTED, "10.0.0.1"],
  ["the hop is empty", "10.0.0.1", "203.0.113.9,", TRUSTED, "10.0.0.1"],
  ["the hop has a port", "10.0.0.1", "203.0.113.9:4711", TRUSTED, "203.0.113.9"],
  ["the hop is IPv6 with a port", "10.0.0.1", "[2a00::9]:4711", TRUSTED, "2a00::9"],
  ["the hop is IPv6 in brackets", "10.0.0.1", "[2a00::9]", TRUSTED, "2a00::9"],
  ["a mapped address is the IPv4 one", "::ffff:10.0.0.1", "::ffff:203.0.113.9", TRUSTED, "203.0.113.9"],
  ["the proxy is IPv6", "2001:db8::5", "2a00:0:0::0009", TRUSTED, "2a00::9"],
  ["the trusted range is IPv6 and the socket not", "203.0.113.1", "198.51.100.1", ["::/0"], "203.0.113.1"],
  ["the socket is gone", "", "203.0.113.9", TRUSTED, ""],
])("clientAddress() if %s", (_claim, socket, forwarded, trusted, expected) => {
  expect(clientAddress(socket, forwarded, trusted)).toBe(expected);
});

test("clientAddress() ignores the header of an untrusted client", () => {
  const hop = fc.oneof(fc.ipV4(), fc.ipV6(), anyText(), fc.constant("10.0.0.1"));
  const header = fc.array(hop).map((hops) => hops.join(","));
  fc.assert(
    fc.property(header, (forwarded) => {
      expect(clientAddress("203.0.113.1", forwarded, TRUSTED)).toBe("203.0.113.1");
      expect(clientAddress("10.0.0.1", `${forwarded}, 203.0.113.1`, TRUSTED)).toBe("203.0.113.1");
      expect(typeof clientAddress("10.0.0.1", forwarded, TRUSTED)).toBe("string");
    }),
    { numRuns: 1_000 },
  );
});
