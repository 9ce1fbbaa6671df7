// Preloaded into the program by the fault lab: names are asked of the lab's own name server instead of getaddrinfo,
// which takes no port. Everything behind that one call is the program's.
import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";

const resolver = new dns.Resolver({ timeout: 30_000, tries: 1 });
resolver.setServers([process.env.LAB_NAME_SERVER]);

dns.lookup = async (hostname) => {
  const found = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const addresses = found.flatMap((family) => (family.status === "fulfilled" ? family.value : []));
  if (addresses.length === 0) throw found[0].reason ?? found[1].reason;
  return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
};
syncBuiltinESMExports();
