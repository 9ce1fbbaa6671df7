import { expect, test } from "vitest";
import { isLoopbackHost, isPrivateHost, normalizeHost } from "../../../src/settings/hosts.ts";

test.each([
  ["Img.Example.COM", "img.example.com"],
  ["img.example.com.", "img.example.com"],
  ["img.example.com:8080", "img.example.com"],
  ["img.example.com.:80", "img.example.com"],
  ["photos_1.example.com", "photos_1.example.com"],
  ["图片.example.com", "xn--wcsw84d.example.com"],
  ["127.0.0.1:80", "127.0.0.1"],
  ["[::1]:80", "[::1]"],
  ["2130706433", "2130706433"],
  ["", undefined],
  [".", undefined],
  ["a..b", undefined],
  ["-a.example", undefined],
  ["a b", undefined],
  ["a/b", undefined],
  ["user@host", undefined],
  ["host:port", undefined],
  ["::1", undefined],
  ["[zz]", undefined],
  ["*", undefined],
])("normalizeHost(%j) is %j", (text, host) => {
  expect(normalizeHost(text)).toBe(host);
});

const hostOf = (host: string) => new URL(`http://${host}/`).hostname;

test.each([
  "127.0.0.1",
  "127.1",
  "0",
  "0.0.0.0",
  "2130706433",
  "0x7f000001",
  "017700000001",
  "127。0。0。1",
  "127.0.0.1.",
  "[::]",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "[fe80::1]",
  "[fd00:ec2::254]",
  "169.254.169.254",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "100.64.0.1",
  "192.0.0.192",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "LOCALHOST",
  "localhost.",
  "photos.localhost",
])("isPrivateHost() is true for %s", (host) => {
  expect(isPrivateHost(hostOf(host))).toBe(true);
});

test.each(["example.com", "8.8.8.8", "[2606:4700::1111]", "localhost.example.com", "10.example.com"])(
  "isPrivateHost() is false for %s",
  (host) => {
    expect(isPrivateHost(hostOf(host))).toBe(false);
  },
);

test.each([
  ["127.0.0.1", true],
  ["::1", true],
  ["localhost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.0.0.1", false],
])("isLoopbackHost(%j) is %j", (host, isLoopback) => {
  expect(isLoopbackHost(host)).toBe(isLoopback);
});
