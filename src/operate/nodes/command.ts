// `huiyuan nodes`: prints the nodes of a cluster.
import type { Command } from "commander";
import { adminCommand, withServer } from "../cli/admin-command.ts";
import type { AdminFlags } from "../cli/reach-server.ts";
import { shown, type Terminal } from "../cli/terminal.ts";
import type { listNodes, NodesAnswer } from "./contract.ts";

const HELP = `Lists the nodes that have told Valkey within 3 s that they are alive.
Columns: name, version, settings, started (UTC), downloads since then, lag.
An asterisk marks the node that answers. Nodes whose settings differ have
another projects, store or coordination section. The lag is 0 ms if a node
knows every change. The exit code is 1 if versions or settings differ.

Examples:
  huiyuan nodes
  huiyuan nodes --admin http://10.0.0.2:8081 --json`;

export function nodesCommand(terminal: Terminal): Command {
  return adminCommand(terminal, "nodes", HELP).action(async (flags: AdminFlags) => {
    await withServer(flags, terminal, async ({ client, show }) => {
      const { nodes } = await client.call<typeof listNodes>("get /nodes", {});
      const width = Math.max(...nodes.map(({ name }) => shown(name).length));
      for (const node of nodes) await show(node, describe(node, width));
      if (nodes.length === 0) terminal.err.write("this server is alone: its settings have no coordination\n");
      const differs = (what: "version" | "settings") => new Set(nodes.map((node) => node[what])).size > 1;
      const different = (["version", "settings"] as const).filter(differs);
      if (different.length > 0) terminal.err.write(`the nodes have different ${different.join(" and ")}\n`);
      return different.length > 0 ? 1 : 0;
    });
  });
}

function describe({ name, isSelf, version, settings, startedAt, requests, lagMs }: Node, width: number): string {
  const started = startedAt.slice(0, 19).replace("T", " ");
  const columns = [`${isSelf ? "*" : " "} ${shown(name).padEnd(width)}`, shown(version), shown(settings), started];
  return [...columns, String(requests).padStart(10), `${lagMs} ms`.padStart(9)].join("  ");
}

type Node = NodesAnswer["nodes"][number];
