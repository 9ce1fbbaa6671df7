// Runs unjs/ipx behind Node's http server as its readme describes, as a process of its own. It serves the files of one
// folder without a cache. Argument: the folder.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createIPX, createIPXNodeServer, ipxFSStorage } from "ipx";

const server = createServer(createIPXNodeServer(createIPX({ storage: ipxFSStorage({ dir: process.argv[2] ?? "" }) })));
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log((server.address() as AddressInfo).port); // a TCP server's address is never a string
