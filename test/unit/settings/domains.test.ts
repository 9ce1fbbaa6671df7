import { expect, test } from "vitest";
import { bindDomains, publicDomain } from "../../../src/settings/domains.ts";
import { parse, siteOf, withBucket } from "./parse.ts";

const mirrorOf = (url: string) => `mirror: { origins: [{ type: site, url: "${url}" }] }`;
const urlOf = (text: string, host: string) => {
  return siteOf(bindDomains(parse(text)).hosts.get(host)?.mirror)?.url;
};
const DEFAULT = "photos-10001234.localhost";

test("bindDomains() binds the default domain of a bucket without domains, without a mirror", () => {
  const { hosts, star } = bindDomains(parse(withBucket("domains: []")));
  expect([...hosts.keys()]).toEqual([DEFAULT]);
  expect(hosts.get(DEFAULT)).toMatchObject({ project: { appid: "10001234" }, bucket: { name: "photos" } });
  expect([hosts.get(DEFAULT)?.mirror, star]).toEqual([undefined, undefined]);
});

test("bindDomains() prefers the default domain's own mirror to that of *", () => {
  const star = `{ host: "*", ${mirrorOf("https://star.example")} }`;
  const own = `{ host: ${DEFAULT}, ${mirrorOf("https://own.example")} }`;
  expect(urlOf(withBucket(`domains: [${own}, ${star}]`), DEFAULT)).toBe("https://own.example");
  expect(urlOf(withBucket(`domains: [${star}]`), DEFAULT)).toBe("https://star.example");
});

test("bindDomains() gives an own entry without a mirror no mirror of *", () => {
  const text = withBucket(`domains: [{ host: ${DEFAULT} }, { host: "*", ${mirrorOf("https://star.example")} }]`);
  expect(urlOf(text, DEFAULT)).toBeUndefined();
});

test("bindDomains() does not share mirrors between domains or the * of a bucket with others", () => {
  const text = withBucket(
    `domains: [{ host: a.example, ${mirrorOf("https://o.example")} }, { host: b.example }, { host: "*", ${mirrorOf("https://star.example")} }] }, { name: other`,
  );
  const { hosts, star } = bindDomains(parse(text));
  expect(siteOf(hosts.get("a.example")?.mirror)?.url).toBe("https://o.example");
  expect(hosts.get("b.example")?.mirror).toBeUndefined();
  expect(hosts.get("other-10001234.localhost")?.mirror).toBeUndefined();
  expect([star?.bucket.name, siteOf(star?.mirror)?.url]).toEqual(["photos", "https://star.example"]);
  expect(hosts.has("*")).toBe(false);
});

test("bindDomains() writes baseDomain in lower case", () => {
  const { hosts } = bindDomains(parse(`server: { baseDomain: Image.Example.com }\n${withBucket("domains: []")}`));
  expect([...hosts.keys()]).toEqual(["photos-10001234.image.example.com"]);
});

test.each([
  ["the one that is set", "publicDomain: B.example., domains: [{ host: a.example }, { host: b.example }]", "b.example"],
  ["one that * covers", 'publicDomain: c.example, domains: [{ host: "*" }, { host: a.example }]', "c.example"],
  ["else the first that is listed and not *", 'domains: [{ host: "*" }, { host: a.example }]', "a.example"],
  ["else the default domain", 'domains: [{ host: "*" }]', DEFAULT],
])("publicDomain() is %s", (_, keys, host) => {
  const { server, projects } = parse(withBucket(keys));
  const hosts = projects.flatMap((project) => project.buckets.map((bucket) => publicDomain(server, project, bucket)));
  expect(hosts).toEqual([host]);
});
