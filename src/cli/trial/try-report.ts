// What a newcomer reads when the trial stands. Words only.
import type { TimedAnswer } from "./timed-get.ts";

export interface FirstRequests {
  readonly first: TimedAnswer;
  readonly second: TimedAnswer;
}

/** A port that another program has, and the free one that the trial took instead. */
export interface ReplacedPort {
  readonly wanted: number;
  readonly used: number;
}

export interface TrialReport {
  readonly originUrl: string;
  /** Why the origin cannot be asked, half a sentence; undefined when it answers. */
  readonly trouble: string | undefined;
  /** The sample site's page; undefined when a site was named. */
  readonly galleryUrl: string | undefined;
  /** Of one image; where none is known PATH_OF_AN_IMAGE stands for its path, also in `signedUrl`. */
  readonly mirrorUrl: string;
  readonly signedUrl: string;
  readonly adminUrl: string;
  readonly replacedPorts: readonly ReplacedPort[];
  /** Undefined when no image of the site is known. */
  readonly requests: FirstRequests | undefined;
}

/** What the reader is to put a path in place of. */
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
      "               what is not stored is answered 424 until the origin answers: is its address right?",
    );
  for (const { wanted, used } of report.replacedPorts)
    lines.push(`  Note         port ${wanted} is taken, using ${used}`);
  if (galleryUrl !== undefined)
    lines.push(
      `  Gallery      ${galleryUrl}`,
      "               open it in a browser: every picture on it comes through the mirror",
    );
  lines.push(`  Mirror URL   ${mirrorUrl}`);
  if (isTemplate) lines.push(`               ${whereIsAPath(report)}`);
  lines.push(
    `  Signed URL   ${signedUrl}`,
    `               a second domain, whose bucket requires a token (${isTemplate ? "this one fits every image, " : ""}good for 7 days)`,
    `  Admin        ${adminUrl}  health, readiness, metrics`,
    "",
  );
  if (requests !== undefined)
    lines.push(bold("What two requests for the same picture did"), ...describeRequests(requests), "");
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
  return `${none}take the path of any image, without ${originUrl}/`;
}

function describeRequests({ first, second }: FirstRequests): readonly string[] {
  return [
    `  1st  ${describeAnswer(first)}`,
    `  2nd  ${describeAnswer(second)}`,
    ...(first.status === 200 ? [] : ["       the origin gave no image: see the X-ErrNo header and the warning above"]),
    ...(first.isWhole ? [] : ["       the origin broke its answer off: such an image is never stored"]),
  ];
}

function describeAnswer({ status, bytes, milliseconds, cacheStatus }: TimedAnswer): string {
  const size = `${bytes.toLocaleString("en-US")} bytes`;
  return `${tierOf(cacheStatus).padEnd(15)}  ${milliseconds.toFixed(1).padStart(7)} ms  ${size.padStart(16)}  ${status}  Cache-Status: ${cacheStatus}`;
}

/** Where an answer came from. */
function tierOf(cacheStatus: string): string {
  if (cacheStatus.includes("fwd=")) return "origin";
  const [, detail] = /; hit; detail=(\w+)/.exec(cacheStatus) ?? [];
  if (detail === "memory") return "bucket (memory)";
  if (detail === "bucket") return "bucket (disk)";
  // Fetched already, and on its way into the bucket.
  if (detail === "spool") return "being stored";
  return "nowhere";
}

function nextSteps({ galleryUrl, mirrorUrl, signedUrl, adminUrl }: TrialReport): readonly string[] {
  const steps = [`  curl -I '${mirrorUrl}'`, `  curl -I '${signedUrl.split("?", 1)[0]}'      without its token: 403`];
  if (galleryUrl !== undefined) {
    steps.push("  press “Stop the origin” on the gallery page and reload: the pictures still come");
    steps.push("  npm start -- https://your.site                  mirrors your own site");
  } else if (!mirrorUrl.endsWith(PATH_OF_AN_IMAGE)) {
    steps.push("  ask for any image of the site by its path under the mirror's address");
  }
  steps.push(`  curl ${adminUrl}metrics                          what it counted`);
  return steps;
}
