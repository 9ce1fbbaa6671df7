// Renders the gallery of a site that the user named, in three parts, so that each picture is written as soon as it is
// measured. The HTML has no script; every text from the site or the user is escaped.
import { escapeHtml, renderHead } from "./page-frame.ts";
import { isFetched, sourceOf, type TimedAnswer } from "./timed-request.ts";

export interface SitePage {
  readonly siteUrl: string;
  /** Why the home page did not answer, and what to do. */
  readonly trouble: string | undefined;
  /** Number of pictures found on the home page. */
  readonly found: number;
  /** The text of the form's field; empty if it was not sent. */
  readonly wanted: string;
  /** Why `wanted` is not the picture of a mirror. */
  readonly problem: string | undefined;
  /** The Content-Security-Policy nonce of the style. */
  readonly nonce: string;
}

/** A picture with the mirror's answer to one request for it. */
export interface MeasuredPicture {
  /** Its path below the site, unescaped. */
  readonly name: string;
  /** At the mirror. */
  readonly url: string;
  /** Undefined if the mirror did not answer, or late. */
  readonly answer: TimedAnswer | undefined;
  /** The page did not wait for the end of the answer. */
  readonly isLate: boolean;
  /** Duration of the last request that the mirror passed on to the site; undefined if there was none. */
  readonly fetchedMs: number | undefined;
}

/** The document up to the first picture. */
export function renderSiteStart(page: SitePage): string {
  const host = escapeHtml(new URL(page.siteUrl).host);
  return `${renderHead(`${new URL(page.siteUrl).host} · Huiyuan`, page.nonce)}
<header>
  <div>
    <p class="eyebrow">The origin · <span lang="zh-Hans">源站</span></p>
    <h1>${host}</h1>
    <p class="zh" lang="zh-Hans">经由回源的图片</p>
    <p>Every picture here is served by <b>Huiyuan</b>. On the first visit Huiyuan fetches each one from ${host} and stores it.
      Reload: they are no longer fetched from there.</p>
    <p class="zh" lang="zh-Hans">本页的每张图片都由回源（Huiyuan）提供：首次访问时，回源从该站拉取并存储；刷新页面，图片便不再来自该站。</p>
  </div>
  <aside>
    ${renderFound(page)}
    <form action="/">
      <label for="picture">${page.found === 0 ? "A" : "Another"} picture of this site · <span lang="zh-Hans">该站的图片</span></label>
      <input id="picture" name="picture" value="${escapeHtml(page.wanted)}" placeholder="/images/a.jpg" required autocapitalize="off" autocomplete="off" spellcheck="false">
      <button>Show it · <span lang="zh-Hans">显示</span></button>
    </form>
    ${page.problem === undefined ? `<p class="hint">A path, or a URL below ${escapeHtml(page.siteUrl)}/</p>` : `<p class="hint problem" role="alert">${escapeHtml(page.problem)}</p>`}
  </aside>
</header>
<main>
`;
}

function renderFound({ found, trouble, siteUrl }: SitePage): string {
  if (trouble !== undefined) {
    return `<p class="problem"><b>${escapeHtml(siteUrl)} did not answer</b></p>
    <p class="count">${escapeHtml(trouble)}</p>`;
  }
  if (found === 0) {
    return `<p><b>No picture was found on the home page</b></p>
    <p class="count">Huiyuan looks for &lt;img&gt; of the same host, without a query. Paste the address of a picture instead.<br><span class="zh" lang="zh-Hans">首页未找到图片，请粘贴一张图片的地址。</span></p>`;
  }
  return `<p class="count"><output>${found}</output> ${found === 1 ? "picture" : "pictures"} found on the home page<br><span class="zh" lang="zh-Hans">张图片来自首页</span></p>`;
}

export function renderSitePicture(picture: MeasuredPicture): string {
  const { name, url, answer } = picture;
  const [kind, text] = describeSource(picture);
  const isShown = answer?.status === 200;
  const shown = isShown
    ? `<img src="${escapeHtml(url)}" alt="${escapeHtml(name)}">`
    : `<span class="none">${answer?.status ?? "–"}</span>`;
  const size = isShown ? `<small>${formatSize(answer.bytes)}</small>` : "";
  return `<figure>
  <a href="${escapeHtml(url)}">${shown}</a>
  <figcaption><b title="${escapeHtml(name)}">${escapeHtml(name.slice(name.lastIndexOf("/") + 1))}</b>${size}<small class="came ${kind}">${escapeHtml(text)}</small></figcaption>
</figure>
`;
}

function describeSource({ answer, isLate, fetchedMs }: MeasuredPicture): readonly [kind: string, text: string] {
  if (answer === undefined) return ["failed", isLate ? "too slow for this page: reload it" : "Huiyuan did not answer"];
  const took = formatMs(answer.milliseconds);
  if (answer.status !== 200) return ["failed", `no picture: ${answer.status} · ${took}`];
  if (!answer.isWhole) return ["failed", "cut short by the site: not stored"];
  if (sourceOf(answer) === "origin") return ["fetched", `fetched from the site · ${took}`];
  const before = fetchedMs === undefined ? "" : ` (fetched in ${formatMs(fetchedMs)})`;
  return ["kept", `stored · ${took}${before}`];
}

const formatMs = (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

function formatSize(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1_000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** The rest of the document: what this view cost the site. */
export function renderSiteEnd(pictures: readonly MeasuredPicture[], siteUrl: string): string {
  const host = escapeHtml(new URL(siteUrl).host);
  const fetched = pictures.filter(({ answer }) => isFetched(answer)).length;
  const [text, zh] =
    fetched > 0
      ? [
          `${fetched} of ${pictures.length} pictures came from ${host} in this view. Reload the page to see the difference.`,
          `本次浏览有 ${fetched} 张图片来自源站；刷新页面再看。`,
        ]
      : [`No picture came from ${host} in this view: Huiyuan served its own copies.`, "本次浏览没有图片来自源站。"];
  const isAnyShown = pictures.some(({ answer }) => answer?.status === 200 && answer.isWhole);
  const summary = `<p>${text}</p>
<p class="zh" lang="zh-Hans">${zh}</p>
<p>The times are those of requests from this machine to Huiyuan, until the last byte.</p>`;
  return `</main>
<footer>${isAnyShown ? summary : ""}</footer>
</body>
</html>
`;
}
