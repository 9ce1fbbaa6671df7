import { expect, test } from "vitest";
import { addressesInHosts, searchOrder } from "../../../../../src/serve/origin/dial/lookup.ts";

const HOSTS = `
# 10.0.0.9 images.test
127.0.0.1\tlocalhost
10.0.0.1   shop.test  images.test # the old one
::1 images.test
nonsense images.test
10.0.0.2 IMAGES.example
10.0.0.3 images.test.example`;

test.each([
  ["images.test", ["10.0.0.1", "::1"]],
  ["Images.Example", ["10.0.0.2"]],
  ["localhost", ["127.0.0.1"]],
  // glibc does not find it there either.
  ["images.test.", []],
  ["test", []],
  ["old", []],
])("addressesInHosts() of %s", (name, addresses) => {
  expect(addressesInHosts(HOSTS, name)).toEqual(addresses);
});

const CLUSTER = "search shop.svc.cluster.local cluster.local\nnameserver 10.0.0.10\noptions timeout:1 ndots:2";

test.each([
  ["", "images.example.com", ["images.example.com"]],
  ["nameserver 10.0.0.10\nsearch shop.test", "images.example.com", ["images.example.com"]],
  ["", "images", ["images"]],
  ["options ndots:0", "images", ["images"]],
  ["domain shop.test", "images", ["images.shop.test", "images"]],
  ["search a.test b.test\nsearch shop.test", "images", ["images.shop.test", "images"]],
  ["search .", "images", ["images"]],
  ["# search shop.test", "images", ["images"]],
  [CLUSTER, "images.shop", ["images.shop.shop.svc.cluster.local", "images.shop.cluster.local", "images.shop"]],
  [CLUSTER, "images.shop.", ["images.shop."]],
  [CLUSTER, "images.example.com", ["images.example.com"]],
  [
    `${CLUSTER}\noptions ndots:5`,
    "a.example.com",
    ["a.example.com.shop.svc.cluster.local", "a.example.com.cluster.local", "a.example.com"],
  ],
])("searchOrder() with %j of %s", (resolvConf, name, names) => {
  expect(searchOrder(resolvConf, name)).toEqual(names);
});
