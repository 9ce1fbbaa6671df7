import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { findPicture, pictureOn } from "../../../src/cli/find-picture.ts";
import { isKey } from "../../../src/core/object.ts";
import { anyText } from "../../helpers/texts.ts";

const SITE = "https://site.example";

test.each<[claim: string, page: string, key: string | undefined]>([
  ["an absolute path", '<img src="/images/a.jpg">', "images/a.jpg"],
  ["a relative path", '<img src="images/a.png">', "images/a.png"],
  ["a whole URL", '<img src="https://site.example/a.webp">', "a.webp"],
  ["a URL without scheme", '<img src="//site.example/a.gif">', "a.gif"],
  ["single quotes", "<img src='/a.jpg'>", "a.jpg"],
  ["no quotes", "<img src=/a.jpg alt=x>", "a.jpg"],
  ["blanks and capitals", '<IMG\n  ALT="x"\n  SRC = "/a.JPG"\n/>', "a.JPG"],
  ["quotes of the other kind inside", `<img src="/it's.jpg">`, "it's.jpg"],
  ["blanks inside quotes", '<img src="/two words.jpg">', "two words.jpg"],
  ["an escaped name", '<img src="/%E5%9B%BE%20%25.jpg">', "图 %.jpg"],
  ["an unescaped Chinese name", '<img src="/图.jpg">', "图.jpg"],
  ["an ampersand", '<img src="/a&amp;b.jpg">', "a&b.jpg"],
  ["a fragment", '<img src="/a.jpg#x">', "a.jpg"],
  ["dots in the middle", '<img src="/x/../a.jpg">', "a.jpg"],
  [
    "the first that will do",
    '<img src="data:image/png;base64,x"><img src="/b.svg"><img src="/c.png"><img src="/d.png">',
    "c.png",
  ],
  ["an image after a lazy-loaded one", '<img data-src="/lazy.jpg"><img src="/a.jpg">', "a.jpg"],
  ["src instead of data-src", '<img data-src="/lazy.jpg" src="/a.jpg">', "a.jpg"],
  ["another host", '<img src="https://cdn.example/a.jpg">', undefined],
  ["another port", '<img src="https://site.example:8443/a.jpg">', undefined],
  ["a query, which is not part of the key", '<img src="/a.jpg?v=2">', undefined],
  ["a path that does not look like an image", '<img src="/image">', undefined],
  ["an invalid key", '<img src="/%00.jpg">', undefined],
  ["a name that is not UTF-8", '<img src="/%ff.jpg">', undefined],
  ["a broken URL", '<img src="https://:99999/a.jpg">', undefined],
  ["an empty source", '<img src="">', undefined],
  ["a tag that never ends", '<img src="/a.jpg"', undefined],
  ["another tag", '<image src="/a.jpg"><video src="/b.jpg">', undefined],
  ["an empty page", "", undefined],
])("pictureOn(): %s", (_claim, page, key) => {
  expect(pictureOn(page, `${SITE}/`, SITE)).toBe(key);
});

test.each<[claim: string, source: string, key: string | undefined]>([
  ["below the base", "a.jpg", "a.jpg"],
  ["below the base, from the root", "/blog/x/a.jpg", "x/a.jpg"],
  ["outside the base", "/a.jpg", undefined],
  ["above the base", "../a.jpg", undefined],
  ["beside the base", "/blogs/a.jpg", undefined],
])("pictureOn() of a site with a path: %s", (_claim, source, key) => {
  expect(pictureOn(`<img src="${source}">`, `${SITE}/blog/`, `${SITE}/blog`)).toBe(key);
});

test("pictureOn() returns a valid key or undefined for any page", () => {
  const piece = fc.constantFrom(
    "<img ",
    " src=",
    '"',
    "'",
    "/",
    "a.jpg",
    "%",
    "%2e%2e",
    "//",
    ">",
    "<",
    "site.example",
    "?",
  );
  const page = fc.oneof(
    fc.array(piece).map((parts) => parts.join("")),
    anyText().map((text) => `<img src="${text}.png">`),
  );
  fc.assert(
    fc.property(page, (html) => {
      const key = pictureOn(html, `${SITE}/`, SITE);
      if (key !== undefined) expect(isKey(key)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

let server: Server | undefined;

afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("findPicture() reads the page that the home page redirects to", async () => {
  const url = await serve((request, response) => {
    if (request.url === "/") response.writeHead(302, { Location: "/en/" }).end();
    else response.end('<img src="a.jpg">');
  });
  expect(await findPicture(url, true)).toEqual({ picture: "en/a.jpg", trouble: undefined });
});

test("findPicture() does not wait for the end of an endless page, and closes it", async () => {
  const url = await serve((_request, response) => response.write(`<img src="/a.jpg">${" ".repeat(600_000)}`));
  const asked = once(server!, "request");
  const found = findPicture(url, true);
  const [, response] = (await asked) as [IncomingMessage, ServerResponse];
  const left = once(response, "close");
  expect(await found).toEqual({ picture: "a.jpg", trouble: undefined });
  await left;
});

test("findPicture() describes why a site does not answer", async () => {
  const url = await serve((request) => request.socket.destroy());
  const { picture, trouble } = await findPicture(url, true);
  expect(picture).toBeUndefined();
  expect(trouble).toMatch(/The connection was closed before an answer\.$/);
  const closed = once(server!, "close");
  server?.close();
  await closed;
  expect((await findPicture(url, true)).trouble).toMatch(/Nothing listens there/);
});

test("findPicture() treats an error page as an answer", async () => {
  const url = await serve((_request, response) => response.writeHead(500).end("no"));
  expect(await findPicture(url, true)).toEqual({ picture: undefined, trouble: undefined });
});

test("findPicture() reaches no private address that the user did not name", async () => {
  const inside = createServer(() => {}).listen(0, "127.0.0.1");
  await once(inside, "listening");
  let connections = 0;
  inside.on("connection", () => (connections += 1));
  const url = await serve((_request, response) => {
    response.writeHead(302, { Location: `http://127.0.0.1:${(inside.address() as AddressInfo).port}/` }).end();
  });
  expect((await findPicture(url, true)).trouble).toMatch(/Private addresses are dialled only with/);
  expect((await findPicture(url, false)).trouble).toMatch(/Private addresses are dialled only with/);
  expect(connections).toBe(0);
  inside.close();
});
