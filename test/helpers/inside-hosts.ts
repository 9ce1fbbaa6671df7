// Every spelling of an internal address for tests of the SSRF guard: loopback, private, link-local, metadata,
// multicast.

/** Hosts as a URL may spell them. */
export const INSIDE_HOSTS: readonly string[] = [
  "127.0.0.1",
  "127.1",
  "0",
  "0.0.0.0",
  "2130706433",
  "0x7f000001",
  "017700000001",
  "127.0.0.1.",
  "[::]",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "localhost",
  "LOCALHOST",
  "localhost.",
  "127\u30020\u30020\u30021",
  "169.254.169.254",
  "[fd00:ec2::254]",
  "[fe80::1]",
  "[fc00::1]",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.0.1",
  "100.64.0.1",
  "192.0.0.192",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
];

/** Responses of a DNS server with at least one internal address each. */
export const INSIDE_ANSWERS: readonly (readonly string[])[] = [
  ["127.0.0.1"],
  ["0.0.0.0"],
  ["::"],
  ["::1"],
  ["::ffff:127.0.0.1"],
  ["64:ff9b::7f00:1"],
  ["2002:7f00:1::"],
  ["169.254.169.254"],
  ["fe80::1"],
  ["fc00::1"],
  ["fd00:ec2::254"],
  ["10.0.0.1"],
  ["172.16.0.1"],
  ["192.168.0.1"],
  ["100.64.0.1"],
  ["192.0.0.192"],
  ["198.18.0.1"],
  ["224.0.0.1"],
  ["255.255.255.255"],
  ["127.0.0.1", "8.8.8.8"],
  ["8.8.8.8", "127.0.0.1"],
  ["8.8.8.8", "::1"],
];

/** One spelling of each kind. Tests of the classifier and the dialer use the whole list; all other tests use these. */
export const ONE_HOST_OF_A_KIND: readonly string[] = [
  "127.0.0.1",
  "2130706433",
  "[::ffff:7f00:1]",
  "localhost",
  "127\u30020\u30020\u30021",
  "169.254.169.254",
  "[fd00:ec2::254]",
  "10.0.0.1",
  "0.0.0.0",
];

/** One answer of each kind, as above. */
export const ONE_ANSWER_OF_A_KIND: readonly (readonly string[])[] = [
  ["127.0.0.1"],
  ["::ffff:127.0.0.1"],
  ["169.254.169.254"],
  ["fc00::1"],
  ["10.0.0.1"],
  ["8.8.8.8", "127.0.0.1"],
];
