// Every way to say "inside" to the SSRF guard: loopback, private, link-local, metadata, multicast.

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

/** Answers of a name server, of which at least one is inside. */
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

/** One spelling of each kind. The classifier and the dialer are tried with all of them, every other door with these. */
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
