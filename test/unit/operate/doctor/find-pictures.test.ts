import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { isKey } from "../../../../src/core/object.ts";
import { findPictures, picturesOn } from "../../../../src/operate/doctor/find-pictures.ts";
import { anyText } from "../../../helpers/texts.ts";

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
  ["the target of a link", '<a href="/big/a.jpg">a</a><a href="/b.html">b</a>', "big/a.jpg"],
  ["an image before a link to one", '<a href="/big/a.jpg"><img src="/small/a.jpg"></a>', "small/a.jpg"],
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
])("picturesOn(): %s", (_claim, page, key) => {
  expect(picturesOn(page, `${SITE}/`, SITE, 1)).toEqual(key === undefined ? [] : [key]);
});

test.each<[claim: string, source: string, key: string | undefined]>([
  ["below the base", "a.jpg", "a.jpg"],
  ["below the base, from the root", "/blog/x/a.jpg", "x/a.jpg"],
  ["outside the base", "/a.jpg", undefined],
  ["above the base", "../a.jpg", undefined],
  ["beside the base", "/blogs/a.jpg", undefined],
])("picturesOn() of a site with a path: %s", (_claim, source, key) => {
  const found = picturesOn(`<img src="${source}">`, `${SITE}/blog/`, `${SITE}/blog`);
  expect(found).toEqual(key === undefined ? [] : [key]);
});

test("picturesOn() returns different images in the order of the page, 24 at most", () => {
  const images = Array.from({ length: 30 }, (_, index) => `<img src="/${index}.jpg"><img src="/0.jpg?">`).join("");
  expect(picturesOn(images, `${SITE}/`, SITE)).toEqual(Array.from({ length: 24 }, (_, index) => `${index}.jpg`));
});

test("picturesOn() accepts the host that the home page was redirected to, and no third one", () => {
  const page = '<img src="a.jpg"><img src="https://www.site.example/b.jpg"><img src="https://cdn.example/c.jpg">';
  expect(picturesOn(page, "https://www.site.example/en/", SITE)).toEqual(["en/a.jpg", "b.jpg"]);
});

test("picturesOn() returns valid keys for any page", () => {
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
      expect(picturesOn(html, `${SITE}/`, SITE).every(isKey)).toBe(true);
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

test("findPictures() reads the page that the home page redirects to", async () => {
  const url = await serve((request, response) => {
    if (request.url === "/") response.writeHead(302, { Location: "/en/" }).end();
    else response.end('<img src="a.jpg">');
  });
  expect(await findPictures(url, true)).toEqual({ pictures: ["en/a.jpg"], trouble: undefined });
});

test("findPictures() does not wait for the end of an endless page, and closes it", async () => {
  const url = await serve((_request, response) => response.write(`<img src="/a.jpg">${" ".repeat(2_100_000)}`));
  const asked = once(server!, "request");
  const found = findPictures(url, true);
  const [, response] = (await asked) as [IncomingMessage, ServerResponse];
  const left = once(response, "close");
  expect(await found).toEqual({ pictures: ["a.jpg"], trouble: undefined });
  await left;
});

test("findPictures() reads 2 MB of a page, also of one that declares a longer body", async () => {
  const page = `${" ".repeat(1_900_000)}<img src="/a.jpg">${" ".repeat(200_000)}<img src="/b.jpg">`;
  const url = await serve((_request, response) => {
    response.writeHead(200, { "Content-Length": page.length }).end(page);
  });
  expect(await findPictures(url, true)).toEqual({ pictures: ["a.jpg"], trouble: undefined });
});

test("findPictures() describes why a site does not answer", async () => {
  const url = await serve((request) => request.socket.destroy());
  const { pictures, trouble } = await findPictures(url, true);
  expect(pictures).toEqual([]);
  expect(trouble).toMatch(/The connection was closed before an answer\.$/);
  const closed = once(server!, "close");
  server?.close();
  await closed;
  expect((await findPictures(url, true)).trouble).toMatch(/Nothing listens there/);
});

test("findPictures() treats an error page as an answer", async () => {
  const url = await serve((_request, response) => response.writeHead(500).end("no"));
  expect(await findPictures(url, true)).toEqual({ pictures: [], trouble: undefined });
});

test("findPictures() reaches no private address that the user did not name", async () => {
  const inside = createServer(() => {}).listen(0, "127.0.0.1");
  await once(inside, "listening");
  let connections = 0;
  inside.on("connection", () => (connections += 1));
  const url = await serve((_request, response) => {
    response.writeHead(302, { Location: `http://127.0.0.1:${(inside.address() as AddressInfo).port}/` }).end();
  });
  expect((await findPictures(url, true)).trouble).toMatch(/Private addresses are dialled only with/);
  expect((await findPictures(url, false)).trouble).toMatch(/Private addresses are dialled only with/);
  expect(connections).toBe(0);
  inside.close();
});
