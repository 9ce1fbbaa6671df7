import { expect, test } from "vitest";
import { type AddressClass, classifyAddress } from "../../../src/core/addresses.ts";

const CASES: readonly (readonly [AddressClass, readonly string[]])[] = [
  ["public", ["1.1.1.1", "93.184.216.34", "223.5.5.5", "100.128.0.1", "172.32.0.1", "198.20.0.1", "2606:4700::1111"]],
  ["public", ["::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1", "2400:3200::1"]],
  ["private", ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]],
  [
    "private",
    ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "198.19.255.255"],
  ],
  ["private", ["fc00::1", "fd12:3456::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::"]],
  [
    "forbidden",
    ["0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "224.0.0.1", "239.255.255.250", "240.0.0.1", "ff02::1"],
  ],
  ["forbidden", ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "::ffff:169.254.169.254"]],
  ["forbidden", ["192.0.0.192", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "64:ff9b::a9fe:a9fe"]],
  ["forbidden", ["192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "2001:db8::1", "3fff::1", "100::1"]],
  ["forbidden", ["::127.0.0.1", "::7f00:1", "::101:101", "2001::1", "2001:0:7f00:1::", "2002:a9fe:a9fe::", "4000::1"]],
  [
    "forbidden",
    ["", "localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "1.1.1.1 ", "[::1]", "1.1.1.1/8"],
  ],
];

for (const [wanted, addresses] of CASES) {
  for (const address of addresses) {
    test(`classifyAddress(${JSON.stringify(address)}) is ${wanted}`, () => {
      expect(classifyAddress(address)).toBe(wanted);
    });
  }
}

test("URL parsing turns every odd spelling of a loopback address into a literal that is not public", () => {
  const spellings = ["127.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "017700000001", "127.0.0.1.", "127。0。0。1"];
  for (const spelling of spellings) {
    expect(classifyAddress(new URL(`http://${spelling}/`).hostname), spelling).not.toBe("public");
  }
});
