// Preloaded into the program by the fault lab: resolves names through the lab's own DNS server, which cannot use port
// 53. All other code is the program's own.
import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";

dns.Resolver = class extends dns.Resolver {
  constructor(options) {
    super(options);
    this.setServers([process.env.LAB_NAME_SERVER]);
  }
};
syncBuiltinESMExports();
