// Writes the report of `huiyuan try` after its start. It measures and prints nothing.
import { SAMPLE_DELAY_MS } from "./sample-site.ts";
import { type Source, sourceOf, type TimedAnswer } from "./timed-request.ts";

export type FirstRequests = Readonly<Record<"first" | "second", TimedAnswer>>;
/** A port in use, and the free port that the trial uses instead. */
export type ReplacedPort = Readonly<Record<"wanted" | "used", number>>;

export interface TrialReport {
  readonly originUrl: string;
  /** Why the origin does not answer, and what to do; undefined if it answers. */
  readonly trouble: string | undefined;
  /** The origin is the sample site; false if the user named a site. */
  readonly isSample: boolean;
  /** The page that shows the pictures of the origin beside those of the mirror. */
  readonly galleryUrl: string;
  /** URL of one image. If none is known, PATH_OF_AN_IMAGE replaces its path, also in `signedUrl`. */
  readonly mirrorUrl: string;
  readonly signedUrl: string;
  readonly adminUrl: string;
  readonly replacedPorts: readonly ReplacedPort[];
  /** Undefined if no image of the site is known, or if it did not arrive in time. */
  readonly requests: FirstRequests | undefined;
}

/** Placeholder that the user replaces by a path. */
export const PATH_OF_AN_IMAGE = "<path of an image>";

const isTemplate = (url: string) => url.endsWith(PATH_OF_AN_IMAGE);

/** The report as text, ending with a newline; bold headings when `isInteractive`. */
export function describeTrial(report: TrialReport, isInteractive: boolean): string {
  const bold = (text: string) => (isInteractive ? `\u001b[1m${text}\u001b[22m` : text);
  const { mirrorUrl, signedUrl, adminUrl, requests } = report;
  const isUnknown = isTemplate(mirrorUrl);
  const lines = ["", bold(headline(report)), ""];
  lines.push(bold(`  Open         ${report.galleryUrl}`), `               in a browser: ${whatIsThere(report)}`, "");
  if (report.trouble !== undefined)
    lines.push(
      bold(`  Warning      ${report.trouble}`),
      "               images that are not stored get 424 until the origin answers: check its address",
    );
  for (const { wanted, used } of report.replacedPorts)
    lines.push(`  Note         port ${wanted} is in use, using ${used}`);
  lines.push(`  Mirror URL   ${mirrorUrl}`);
  if (isUnknown) lines.push(`               ${whereIsAPath(report)}`);
  lines.push(
    `  Signed URL   ${signedUrl}`,
    `               a second domain, whose bucket requires a token (${isUnknown ? "this token is for every image, " : ""}good for 7 days)`,
    `  Admin        ${adminUrl}  console, health, metrics`,
    "",
  );
  if (requests !== undefined) lines.push(bold("Two requests for the same picture"), ...describeRequests(requests), "");
  lines.push(bold("Try next"), ...nextSteps(report), "", "Ctrl-C stops it and removes everything.", "");
  return `${lines.join("\n")}\n`;
}

function headline({ trouble, isSample, originUrl }: TrialReport): string {
  if (trouble !== undefined) return `Huiyuan (回源) is running, but its origin ${originUrl} does not answer`;
  const what = isSample ? `a sample site (${originUrl})` : originUrl;
  const wait = isSample ? `, which waits ${SAMPLE_DELAY_MS} ms before each answer, as a distant site would` : "";
  return `Huiyuan (回源) is running: a mirror in front of ${what}${wait}`;
}

function whatIsThere({ isSample, mirrorUrl }: TrialReport): string {
  if (isSample) return "the origin beside the mirror, “Stop the origin”, and a field for your own site";
  return isTemplate(mirrorUrl) ? "it has a field for the address of a picture" : "your site beside the mirror";
}

function whereIsAPath({ trouble, originUrl }: TrialReport): string {
  const none = trouble === undefined ? "no picture was found on the home page: " : "";
  return `${none}use the path of any image, without ${originUrl}/`;
}

function describeRequests({ first, second }: FirstRequests): readonly string[] {
  return [
    `  1st  ${describeAnswer(first)}`,
    `  2nd  ${describeAnswer(second)}`,
    ...(first.status === 200 ? [] : ["       the origin sent no image: see the X-ErrNo header"]),
    ...(first.isWhole ? [] : ["       the origin closed the connection early: such an image is never stored"]),
  ];
}

function describeAnswer(answer: TimedAnswer): string {
  const { status, bytes, milliseconds, cacheStatus } = answer;
  const size = `${bytes.toLocaleString("en-US")} bytes`;
  return `${SOURCES[sourceOf(answer)].padEnd(15)}  ${milliseconds.toFixed(1).padStart(7)} ms  ${size.padStart(16)}  ${status}  Cache-Status: ${cacheStatus}`;
}

const SOURCES: Readonly<Record<Source, string>> = {
  origin: "origin",
  memory: "bucket (memory)",
  bucket: "bucket (disk)",
  spool: "being stored",
  nowhere: "nowhere",
};

function nextSteps({ isSample, requests, mirrorUrl, signedUrl, adminUrl }: TrialReport): readonly string[] {
  const steps = [`  curl -I '${mirrorUrl}'`, `  curl -I '${signedUrl.split("?", 1)[0]}'      without its token: 403`];
  if (isSample) {
    steps.push("  press “Stop the origin” on the page and reload: the pictures are still served");
    steps.push(
      "  npm start -- https://your.site                  mirrors your own site, as the field on the page does",
    );
  } else if (requests?.first.status === 200) {
    steps.push("  reload the page: nothing more is fetched from the site");
  }
  steps.push(`  curl ${adminUrl}metrics                          its counters`);
  steps.push("  npm link; mkdir ~/mirror; cd ~/mirror; huiyuan serve --new    begins a mirror that stays");
  return steps;
}
