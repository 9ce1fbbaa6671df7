// The admin API call for the nodes of a cluster.
import type { Service } from "../../serve/wiring/service.ts";
import type { Calls } from "../admin/calls.ts";
import { listNodes } from "./contract.ts";

export function addNodesCall(calls: Calls, { cluster }: Pick<Service, "cluster">): void {
  calls.add(listNodes, async (context) => {
    const nodes = (await cluster?.nodes()) ?? [];
    return context.json({
      nodes: nodes.map(({ startedAt, ...node }) => ({ ...node, startedAt: new Date(startedAt).toISOString() })),
    });
  });
}
