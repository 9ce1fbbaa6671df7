// Measures the first requests of `huiyuan try`, and writes its report after the start. It prints nothing.
import { performance } from "node:perf_hooks";

export interface FirstRequests {
  readonly first: TimedAnswer;
  readonly second: TimedAnswer;
}

/** A port in use, and the free port that the trial uses instead. */
export interface ReplacedPort {
  readonly wanted: number;
  readonly used: number;
}

export interface TrialReport {
  readonly originUrl: string;
  /** Why the origin does not answer, and what to do; undefined if it answers. */
  readonly trouble: string | undefined;
  /** The page of the sample site; undefined if the user named a site. */
  readonly galleryUrl: string | undefined;
  /** URL of one image. If none is known, PATH_OF_AN_IMAGE replaces its path, also in `signedUrl`. */
  readonly mirrorUrl: string;
  readonly signedUrl: string;
  readonly adminUrl: string;
  readonly replacedPorts: readonly ReplacedPort[];
  /** Undefined if no image of the site is known. */
  readonly requests: FirstRequests | undefined;
}

/** Placeholder that the user replaces by a path. */
export const PATH_OF_AN_IMAGE = "<path of an image>";

/** The report as text, ending with a newline; bold headings when `isInteractive`. */
export function describeTrial(report: TrialReport, isInteractive: boolean): string {
  const bold = (text: string) => (isInteractive ? `\u001b[1m${text}\u001b[22m` : text);
  const { galleryUrl, mirrorUrl, signedUrl, adminUrl, requests } = report;
  const isTemplate = mirrorUrl.endsWith(PATH_OF_AN_IMAGE);
  const lines = ["", bold(headline(report)), ""];
  if (report.trouble !== undefined)
    lines.push(
      bold(`  Warning      ${report.trouble}`),
      "               images that are not stored get 424 until the origin answers: check its address",
    );
  for (const { wanted, used } of report.replacedPorts)
    lines.push(`  Note         port ${wanted} is in use, using ${used}`);
  if (galleryUrl !== undefined)
    lines.push(
      `  Gallery      ${galleryUrl}`,
      "               open it in a browser: the mirror serves every picture on it",
    );
  lines.push(`  Mirror URL   ${mirrorUrl}`);
  if (isTemplate) lines.push(`               ${whereIsAPath(report)}`);
  lines.push(
    `  Signed URL   ${signedUrl}`,
    `               a second domain, whose bucket requires a token (${isTemplate ? "this token is for every image, " : ""}good for 7 days)`,
    `  Admin        ${adminUrl}  health, readiness, metrics`,
    "",
  );
  if (requests !== undefined) lines.push(bold("Two requests for the same picture"), ...describeRequests(requests), "");
  lines.push(bold("Try next"), ...nextSteps(report), "", "Ctrl-C stops it and removes everything.", "");
  return `${lines.join("\n")}\n`;
}

function headline({ trouble, galleryUrl, originUrl }: TrialReport): string {
  if (trouble !== undefined) return `Huiyuan (回源) is running, but its origin ${originUrl} does not answer`;
  const what = galleryUrl === undefined ? originUrl : `a sample site (${originUrl})`;
  return `Huiyuan (回源) is running: a mirror in front of ${what}`;
}

function whereIsAPath({ trouble, originUrl }: TrialReport): string {
  const none = trouble === undefined ? "no picture was found on the home page: " : "";
  return `${none}use the path of any image, without ${originUrl}/`;
}

function describeRequests({ first, second }: FirstRequests): readonly string[] {
  return [
    `  1st  ${describeAnswer(first)}`,
    `  2nd  ${describeAnswer(second)}`,
    ...(first.status === 200 ? [] : ["       the origin sent no image: see the X-ErrNo header and the warning above"]),
    ...(first.isWhole ? [] : ["       the origin closed the connection early: such an image is never stored"]),
  ];
}

function describeAnswer({ status, bytes, milliseconds, cacheStatus }: TimedAnswer): string {
  const size = `${bytes.toLocaleString("en-US")} bytes`;
  return `${tierOf(cacheStatus).padEnd(15)}  ${milliseconds.toFixed(1).padStart(7)} ms  ${size.padStart(16)}  ${status}  Cache-Status: ${cacheStatus}`;
}

/** The source of an answer. */
function tierOf(cacheStatus: string): string {
  if (cacheStatus.includes("fwd=")) return "origin";
  const [, detail] = /; hit; detail=(\w+)/.exec(cacheStatus) ?? [];
  if (detail === "memory") return "bucket (memory)";
  if (detail === "bucket") return "bucket (disk)";
  // Fetched, and pending for the bucket.
  if (detail === "spool") return "being stored";
  return "nowhere";
}

function nextSteps({ galleryUrl, mirrorUrl, signedUrl, adminUrl }: TrialReport): readonly string[] {
  const steps = [`  curl -I '${mirrorUrl}'`, `  curl -I '${signedUrl.split("?", 1)[0]}'      without its token: 403`];
  if (galleryUrl !== undefined) {
    steps.push("  press “Stop the origin” on the gallery page and reload: the pictures are still served");
    steps.push("  npm start -- https://your.site                  mirrors your own site");
  } else if (!mirrorUrl.endsWith(PATH_OF_AN_IMAGE)) {
    steps.push("  request any image of the site by its path at the mirror's address");
  }
  steps.push(`  curl ${adminUrl}metrics                          its counters`);
  return steps;
}

export interface TimedAnswer {
  readonly status: number;
  /** False if the connection broke before the end of the body. */
  readonly isWhole: boolean;
  readonly bytes: number;
  /** Until the last byte. */
  readonly milliseconds: number;
  readonly cacheStatus: string;
}

const DEADLINE_MS = 60_000;

/** Sends one request; of the body it keeps only the length. Rejects if the answer is not complete within 60 s. */
export async function timedRequest(url: string, method: "GET" | "HEAD" = "GET"): Promise<TimedAnswer> {
  const startedAt = performance.now();
  const signal = AbortSignal.timeout(DEADLINE_MS);
  const { status, headers, body } = await fetch(url, { method, signal });
  let bytes = 0;
  let isWhole = true;
  try {
    for await (const chunk of body ?? []) bytes += chunk.byteLength;
  } catch (error) {
    if (signal.aborted) throw error;
    isWhole = false;
  }
  const milliseconds = performance.now() - startedAt;
  return { status, isWhole, bytes, milliseconds, cacheStatus: headers.get("cache-status") ?? "" };
}
