// What a newcomer reads when the trial stands. Words only.
import type { TimedAnswer } from "./timed-get.ts";

export interface FirstRequests {
  readonly first: TimedAnswer;
  readonly second: TimedAnswer;
}

export interface TrialReport {
  readonly originUrl: string;
  /** The sample site's page; undefined when a site was named. */
  readonly galleryUrl: string | undefined;
  readonly mirrorUrl: string;
  readonly signedUrl: string | undefined;
  readonly adminUrl: string;
  /** Undefined when no image of the site is known. */
  readonly requests: FirstRequests | undefined;
}

/** The report as text, ending with a newline; bold headings when `isInteractive`. */
export function describeTrial(report: TrialReport, isInteractive: boolean): string {
  const bold = (text: string) => (isInteractive ? `\u001b[1m${text}\u001b[22m` : text);
  const { galleryUrl, mirrorUrl, signedUrl, adminUrl, originUrl, requests } = report;
  const what = galleryUrl === undefined ? originUrl : `a sample site (${originUrl})`;
  const lines = ["", bold(`Huiyuan (回源) is running: a mirror in front of ${what}`), ""];
  if (galleryUrl !== undefined)
    lines.push(
      `  Gallery      ${galleryUrl}`,
      "               open it in a browser: every picture on it comes through the mirror",
    );
  lines.push(`  Mirror URL   ${mirrorUrl}`);
  if (signedUrl !== undefined)
    lines.push(
      `  Signed URL   ${signedUrl}`,
      "               a second domain, whose bucket requires a token (good for 7 days)",
    );
  lines.push(`  Admin        ${adminUrl}  health, readiness, metrics`, "");
  if (requests !== undefined)
    lines.push(bold("What two requests for the same picture did"), ...describeRequests(requests), "");
  lines.push(bold("Try next"), ...nextSteps(report), "", "Ctrl-C stops it and removes everything.", "");
  return `${lines.join("\n")}\n`;
}

function describeRequests({ first, second }: FirstRequests): readonly string[] {
  return [
    `  1st  ${describeAnswer(first)}`,
    `  2nd  ${describeAnswer(second)}`,
    ...(first.status === 200 ? [] : ["       the origin gave no image: see the X-ErrNo header and the warning above"]),
  ];
}

function describeAnswer({ status, bytes, milliseconds, cacheStatus }: TimedAnswer): string {
  const from = cacheStatus.includes("hit") ? "bucket" : "origin";
  const size = `${bytes.toLocaleString("en-US")} bytes`;
  return `${from.padEnd(6)}  ${milliseconds.toFixed(1).padStart(7)} ms  ${size.padStart(16)}  ${status}  Cache-Status: ${cacheStatus}`;
}

function nextSteps({ galleryUrl, mirrorUrl, signedUrl, adminUrl }: TrialReport): readonly string[] {
  const steps = [`  curl -I '${mirrorUrl}'`];
  if (signedUrl !== undefined) steps.push(`  curl -I '${signedUrl.split("?", 1)[0]}'      without its token: 403`);
  if (galleryUrl !== undefined) {
    steps.push("  press “Stop the origin” on the gallery page and reload: the pictures still come");
    steps.push("  npm start -- https://your.site                  mirrors your own site");
  } else {
    steps.push("  ask for any image of the site by its path under the mirror's address");
  }
  steps.push(`  curl ${adminUrl}metrics                          what it counted`);
  return steps;
}
