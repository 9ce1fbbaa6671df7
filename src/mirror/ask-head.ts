// A HEAD for a key that the bucket lacks, passed on as a HEAD. Nothing is fetched and nothing stored.
import { HuiyuanError } from "../errors.ts";
import type { Origin, OriginAnswer, OriginRequest } from "../origin/origin.ts";

// Statuses that refuse the method rather than the image; a fetch then finds out what the origin has.
const REFUSALS: readonly number[] = [400, 403, 405, 501];

/** Throws the codes of Origin.fetch. */
export async function askHead(
  origin: Origin,
  request: Omit<OriginRequest, "method" | "unless">,
): Promise<OriginAnswer | "absent" | "refused"> {
  try {
    const answer = await origin.fetch({ ...request, method: "HEAD" });
    if (answer === undefined) return "absent";
    // A 304 only answers conditions, and there were none.
    if (answer.isNotModified) return "refused";
    answer.body.destroy();
    return answer;
  } catch (error) {
    if (error instanceof HuiyuanError && REFUSALS.includes(error.originStatus ?? 0)) return "refused";
    throw error;
  }
}
