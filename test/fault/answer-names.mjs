// Preloaded into the program by the fault lab: resolves names through the lab's own DNS server instead of getaddrinfo,
// which cannot use another port. dns/promises is redirected too. All other code is the program's own.
import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";

dns.Resolver = class extends dns.Resolver {
  constructor(options) {
    super(options);
    this.setServers([process.env.LAB_NAME_SERVER]);
  }
};
const resolver = new dns.Resolver({ timeout: 30_000, tries: 1 });

dns.lookup = async (hostname) => {
  const found = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
  const addresses = found.flatMap((family) => (family.status === "fulfilled" ? family.value : []));
  if (addresses.length === 0) throw found[0].reason ?? found[1].reason;
  return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
};
syncBuiltinESMExports();
