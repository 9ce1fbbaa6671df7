import { expect, test } from "vitest";
import { toKey } from "../../../../../src/core/object.ts";
import {
  type ApiPlace,
  apiBase,
  type PublicPlace,
  publicBase,
  publicUrl,
} from "../../../../../src/serve/http/response/public-url.ts";

const HOST = "img.example.com";
const PROXY = "192.0.2.1";
const PROXIED = { socket: { remoteAddress: PROXY }, headers: { "x-forwarded-for": "198.51.100.7" } };
const DIRECT = { socket: { remoteAddress: PROXY }, headers: {} };
const STRANGE = { socket: { remoteAddress: "203.0.113.9" }, headers: { "x-forwarded-proto": "https" } };
const PLAIN: PublicPlace = { publicScheme: undefined, publicPort: "auto", port: 8080 };

test.each<[string, Partial<PublicPlace>, string]>([
  ["nothing is written out", {}, `http://${HOST}:8080`],
  ["nothing is written out, on port 80", { port: 80 }, `http://${HOST}`],
  ["nothing is written out, on port 443", { port: 443 }, `http://${HOST}:443`],
  ["https is written out", { publicScheme: "https" }, `https://${HOST}`],
  ["http is written out", { publicScheme: "http" }, `http://${HOST}`],
  ["a port is written out", { publicPort: 80 }, `http://${HOST}`],
  ["another port is written out", { publicPort: 8000 }, `http://${HOST}:8000`],
  ["both are written out", { publicScheme: "https", publicPort: 8443 }, `https://${HOST}:8443`],
  ["both are written out, with the scheme's own", { publicScheme: "https", publicPort: 443 }, `https://${HOST}`],
  ["both are written out, with another scheme's", { publicScheme: "https", publicPort: 80 }, `https://${HOST}:80`],
])("publicBase() when %s", (_, place, base) => {
  expect(publicBase({ ...PLAIN, ...place }, HOST)).toBe(base);
});

test("publicUrl() encodes the key, and keeps its slashes", () => {
  expect(publicUrl(PLAIN, HOST, toKey("2015//a b+图!x.jpg"))).toBe(
    `http://${HOST}:8080/2015//a%20b%2B%E5%9B%BE%21x.jpg`,
  );
});

test.each<[string, Partial<PublicPlace>, string, string]>([
  ["as the client names it", {}, "10.0.0.5:9000", "http://10.0.0.5:9000"],
  ["as the client names it, without a port", {}, HOST, `http://${HOST}`],
  ["with the public scheme and its port", { publicScheme: "https" }, `${HOST}:8080`, `https://${HOST}`],
  ["with the public port", { publicPort: 8000 }, HOST, `http://${HOST}:8000`],
  ["with an IPv6 address", { publicScheme: "https" }, "[::1]:8080", "https://[::1]"],
  ["with an IPv6 address without a port", { publicScheme: "https" }, "[2001:db8::1]", "https://[2001:db8::1]"],
])("apiBase() has the host %s", (_, place, authority, base) => {
  const here: ApiPlace = { ...PLAIN, ...place, trustedProxies: [PROXY] };
  expect(apiBase(here, PROXIED, authority)).toBe(base);
  // Without a proxy the scheme and port are those that the client used.
  for (const request of [DIRECT, STRANGE]) expect(apiBase(here, request, authority)).toBe(`http://${authority}`);
});

test.each<[Partial<PublicPlace>, string | undefined]>([
  [{ port: 0 }, undefined],
  [{ port: 0, publicScheme: "http" }, `http://${HOST}`],
  [{ port: 0, publicPort: 8080 }, `http://${HOST}:8080`],
])("publicBase() and publicUrl() with %j, before the port is bound", (place, base) => {
  expect(publicBase({ ...PLAIN, ...place }, HOST)).toBe(base);
  expect(publicUrl({ ...PLAIN, ...place }, HOST, toKey("a.jpg"))).toBe(base && `${base}/a.jpg`);
});

test.each<[string, Partial<PublicPlace>, string, string]>([
  ["", {}, HOST, `http://${HOST}:8080`],
  ["", { publicScheme: "https" }, HOST, `https://${HOST}`],
  [":9000", { publicPort: 8000 }, HOST, `http://${HOST}:8000`],
  ["", {}, "", ""],
  ["", { publicPort: 8000 }, "", ""],
])("apiBase() for a client that names %j, with %j and the host %j", (authority, place, host, base) => {
  const here: ApiPlace = { ...PLAIN, ...place, trustedProxies: [PROXY] };
  expect(apiBase(here, PROXIED, authority, host)).toBe(base);
  expect(apiBase(here, DIRECT, authority, host)).toBe(host && `http://${HOST}:8080`);
});
