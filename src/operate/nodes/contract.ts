// The contract of the call for the nodes of a cluster, and how a change says that they know it.
import * as z from "zod";
import { type AnswerOf, get, json, listOf, time } from "../admin/contract/contract.ts";

export const listNodes = get("/nodes", "read", {
  summary: "The nodes on the same S3 store that are alive",
  answer: json({
    nodes: listOf({
      name: z.string(),
      isSelf: z.boolean().describe("This node has answered the call."),
      version: z.string(),
      settings: z.string().describe("Digest of the settings that must agree: projects, store and coordination."),
      startedAt: time,
      requests: z.int().describe("Downloads since the start."),
      lagMs: z
        .int()
        .describe("How much older the newest change that it knows is than the newest of all. Milliseconds."),
    }).describe("Empty without `coordination`."),
  }),
});

/** Absent without `coordination`. */
export const confirmation = z
  .object({
    confirmed: z.int().describe("Nodes that serve the new state, this one included."),
    nodes: z.int().describe("Nodes that are alive, this one included."),
    othersWithinMs: z.int().describe("The others serve it after this time at the latest; 0: they do now."),
  })
  .optional();

export type NodesAnswer = AnswerOf<typeof listNodes>;
export type Confirmation = NonNullable<z.output<typeof confirmation>>;
