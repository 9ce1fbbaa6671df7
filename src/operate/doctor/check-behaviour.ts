// Checks how the origin answers other requests for one whole image: a repeated GET, HEAD, a range, conditions,
// compression, a query, and another Accept.
import type { Probe, ProbeReply, ProbeRequest } from "../../serve/origin/kinds/probe.ts";
import { finding, type Hints, type Notes, noReply, type Verdict } from "./finding.ts";
import { type Fetched, headerOf } from "./samples.ts";

interface Check {
  readonly id: string;
  readonly request: Omit<ProbeRequest, "target">;
  /** Appended to the target. */
  readonly query?: string;
  /** `answer` is undefined if the request failed. */
  assess(answer: ProbeReply | undefined, first: ProbeReply, hints: Hints): Verdict | undefined;
}

/** Runs each check in turn. A failed request does not stop the others. */
export async function checkBehaviour(probe: Probe, { target, reply: first }: Fetched, notes: Notes): Promise<void> {
  let isSteady = true;
  for (const { id, request, query, assess } of checksFor(first)) {
    // If repeated answers differ, a different answer to a query means nothing.
    if (query !== undefined && !isSteady) continue;
    const url = query === undefined ? target : `${target}${target.includes("?") ? "&" : "?"}${query}`;
    const answer = await probe.ask({ ...request, target: url }).catch(noReply(notes));
    notes.say(id, assess(answer, first, notes.hints));
    if (id !== "again" || answer === undefined) continue;
    isSteady = answer.sha256 === first.sha256;
    notes.say("keep-alive", assessReuse(answer));
  }
}

function checksFor(first: ProbeReply): readonly Check[] {
  const etag = headerOf(first, "etag");
  const modified = headerOf(first, "last-modified");
  return [
    { id: "again", request: { method: "GET" }, assess: assessAgain },
    { id: "head", request: { method: "HEAD" }, assess: assessHead },
    { id: "range", request: { method: "GET", headers: { range: "bytes=0-99" } }, assess: assessRange },
    ...(etag === undefined ? [] : [condition("If-None-Match", etag)]),
    ...(modified === undefined ? [] : [condition("If-Modified-Since", modified)]),
    { id: "compression", request: { method: "GET", headers: { "accept-encoding": "gzip, br" } }, assess: assessGzip },
    {
      id: "negotiation",
      request: { method: "GET", headers: { accept: "image/avif,image/webp,*/*" } },
      assess: assessAccept,
    },
    { id: "query", request: { method: "GET" }, query: "width=32&w=32&size=small", assess: assessQuery },
  ];
}

const assessAgain: Check["assess"] = (answer, first) => {
  if (answer?.verdict !== "whole") {
    const found = answer === undefined ? "not answered" : `${answer.status}, ${answer.verdict}`;
    return finding.problem(`the second GET is ${found}`, "The origin does not answer reliably.");
  }
  if (answer.sha256 === first.sha256) return finding.good("the second GET returns the same bytes");
  const means =
    "The first version is stored for all clients. Do not mirror images that are generated for each visitor.";
  return finding.warning("the second GET returns other bytes", means);
};

const assessHead: Check["assess"] = (answer, first, hints) => {
  // The length of a coded body is not that of the image.
  const isCoded = answer !== undefined && headerOf(answer, "content-encoding") !== undefined;
  const length = answer && !isCoded ? headerOf(answer, "content-length") : undefined;
  if (answer?.status === 200 && (length === undefined || Number(length) === first.bytes))
    return finding.good("HEAD answers like GET, without the body");
  hints.headMiss = "store";
  const found = answer?.status === 200 ? "answered with another length" : (answer?.status ?? "not answered");
  const means = "The proposal sets `headMiss: store`: a HEAD for a missing image fetches and stores the image.";
  return finding.warning(`HEAD is ${found}`, means);
};

const assessRange: Check["assess"] = (answer, first) => {
  if (answer?.status === 206 && answer.bytes === Math.min(100, first.bytes))
    return finding.good("ranges are answered with 206");
  const means = "Nothing to do: the mirror always fetches whole images, and answers clients' ranges itself.";
  return finding.note(`a range is answered with ${answer?.status ?? "nothing"}`, means);
};

function condition(name: "If-None-Match" | "If-Modified-Since", value: string): Check {
  const id = name.toLowerCase();
  return {
    id,
    request: { method: "GET", headers: { [id]: value } },
    assess(answer) {
      if (answer?.status === 304) return finding.good(`${name} is answered with 304`);
      const found = `${name} with the image's own value is answered with ${answer?.status ?? "nothing"}`;
      return finding.note(found, "Each revalidation of such images transfers all their bytes.");
    },
  };
}

const assessGzip: Check["assess"] = (answer, first) => {
  const always = headerOf(first, "content-encoding");
  if (always !== undefined && always !== "identity")
    return finding.note(`images are sent as ${always} to all clients`, "Nothing to do: the mirror decodes them.");
  const coding = answer && headerOf(answer, "content-encoding");
  if (coding === undefined || coding === "identity") return undefined;
  const means = "Nothing to do: the mirror requests no compression, and the origin respects that.";
  return finding.note(`images are sent as ${coding} to clients that accept it`, means);
};

const assessAccept: Check["assess"] = (answer, first) => {
  if (answer?.verdict !== "whole" || answer.image?.format === first.image?.format) return undefined;
  const found = `browsers that accept it get ${answer.image?.format} instead of ${first.image?.format}`;
  return finding.warning(found, "The mirror sends `Accept: */*` and stores that answer for all clients.");
};

const assessQuery: Check["assess"] = (answer, first, hints) => {
  if (answer?.verdict === "whole" && answer.sha256 === first.sha256)
    return finding.good("an unknown query changes nothing: mirror type `originals` is right");
  if (answer?.verdict === "whole") {
    hints.type = "everything";
    const means =
      "The site makes images from the query: the proposal sets `type: everything`, which stores each URL as its own object.";
    return finding.warning("a query (width=32) returns another image", means);
  }
  const found = `a query is answered with ${answer === undefined ? "nothing" : `${answer.status}, ${answer.verdict}`}`;
  return finding.note(found, "Under `originals`, queries of clients are not sent to the origin.");
};

function assessReuse({ isReused }: ProbeReply): Verdict {
  if (isReused) return finding.good("connections are reused for the next request");
  const means = "Every fetch needs a new connection. Switch HTTP keep-alive on at the origin.";
  return finding.note("each request needs a new connection", means);
}
