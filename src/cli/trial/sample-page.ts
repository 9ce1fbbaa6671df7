// Renders the page of the sample site: a gallery of pictures from the mirror, and a switch that stops the origin. The
// HTML is self-contained, in two languages; it works without its script, which only adds figures.
import { escapeHtml, renderHead } from "./page-frame.ts";
import { type Processed, processedSamples, type SamplePicture } from "./sample-pictures.ts";

/** `incomplete`: it serves on, because the mirror did not get all pictures before a stop. */
export type SiteState = "serving" | "incomplete" | "stopped";

/** Content of the page. renderSamplePage() escapes all of it. */
export interface SamplePage {
  readonly pictures: readonly SamplePicture[];
  /** Absolute URL of a picture at the mirror. */
  readonly mirrorUrl: (name: string) => string;
  /** Number of picture requests that reached the site, by name. */
  readonly requests: ReadonlyMap<string, number>;
  readonly state: SiteState;
  /** Number of pictures that the mirror had at the last stop. */
  readonly stored: number;
  /** Page views. Puts a new query into each view's URLs, to bypass the browser's cache; the mirror ignores it. */
  readonly visit: number;
  /** The Content-Security-Policy nonce of the style and the script. */
  readonly nonce: string;
}

/** The number of picture requests. */
export function totalOf(requests: SamplePage["requests"]): number {
  return [...requests.values()].reduce((sum, count) => sum + count, 0);
}

/** The whole document. */
export function renderSamplePage(page: SamplePage): string {
  return `${renderHead("A small picture site · Huiyuan", page.nonce)}
<header>
  <div>
    <p class="eyebrow">The origin · <span lang="zh-Hans">源站</span></p>
    <h1>A small picture site</h1>
    <p class="zh" lang="zh-Hans">一个小小的图片站</p>
    <p>Every picture here is served by <b>Huiyuan</b>. On the first visit Huiyuan fetched each one from this site and stored it.
      Reload: they are no longer fetched from here.</p>
    <p class="zh" lang="zh-Hans">本页的每张图片都由回源（Huiyuan）提供：首次访问时，回源从本站拉取并存储；刷新页面，图片便不再来自本站。</p>
  </div>
  ${renderSwitch(page)}
</header>
<main>
${page.pictures.map((picture) => renderPicture(picture, page)).join("\n")}
</main>
<section>
  <h2>Processed on the way · <span lang="zh-Hans">实时处理</span></h2>
  <p>Huiyuan makes these from the stored pictures at the first request, and stores them too. No further request reaches this site.
    <span class="zh" lang="zh-Hans">首次访问时由回源用已存的原图生成并保存，不再访问本站。</span></p>
  <div class="grid">
${processedSamples(page.pictures, page.mirrorUrl)
  .map((made) => renderProcessed(made, page))
  .join("\n")}
  </div>
</section>
<footer>Pictures drawn by Huiyuan’s own code · <span lang="zh-Hans">图片均由回源项目的代码绘制</span></footer>
<script nonce="${page.nonce}">${SCRIPT}</script>
</body>
</html>
`;
}

function renderSwitch(page: SamplePage): string {
  const { state, stored, pictures } = page;
  const [light, text, textZh] = STATES[state];
  const counted = `<b>${stored} of ${pictures.length} pictures are stored</b>`;
  const missing = stored < pictures.length;
  const hints = {
    serving: "Then reload: the pictures stay. Huiyuan first fetches the ones that it does not have yet.",
    incomplete: `${counted}; the others will be missing. <span class="zh" lang="zh-Hans">已存 ${stored}/${pictures.length} 张，其余图片将无法显示。</span>`,
    stopped: missing
      ? `${counted} and still served; the others are missing until you start it again.`
      : "The origin is down, and the pictures are still served. Reload as often as you like.",
  };
  return `<aside class="${light}">
    <p class="state"><i></i>${text} · <span lang="zh-Hans">${textZh}</span></p>
    <p class="count"><output id="total">${totalOf(page.requests)}</output> picture requests have reached this site<br><span class="zh" lang="zh-Hans">次图片请求到达过源站</span></p>
    ${BUTTONS[state]}
    <p class="hint">${hints[state]}</p>
  </aside>`;
}

const STATES: Readonly<Record<SiteState, readonly [light: string, text: string, textZh: string]>> = {
  serving: ["up", "Serving pictures", "源站正常"],
  incomplete: ["up", "Not stopped yet", "尚未停止"],
  stopped: ["down", "Stopped: answers 503", "源站已停"],
};

const BUTTONS: Readonly<Record<SiteState, string>> = {
  serving: renderButton("stop-serving", "Stop the origin", "停止源站"),
  incomplete:
    renderButton("stop-anyway", "Stop anyway", "仍要停止") + renderButton("stop-serving", "Try again", "重试"),
  stopped: renderButton("resume-serving", "Start it again", "恢复源站"),
};

function renderButton(action: string, label: string, labelZh: string): string {
  return `<form method="post" action="/${action}"><button>${label} · <span lang="zh-Hans">${labelZh}</span></button></form>`;
}

function renderPicture(picture: SamplePicture, page: SamplePage): string {
  const url = page.mirrorUrl(picture.name);
  const source = `${url}${url.includes("?") ? "&" : "?"}visit=${page.visit}`;
  const format = picture.mediaType.replace("image/", "").toUpperCase();
  const kilobytes = Math.round(picture.bytes.length / 1000);
  return `<figure data-name="${escapeHtml(picture.name)}" data-asked="${page.requests.get(picture.name) ?? 0}">
  <a href="${escapeHtml(url)}"><img src="${escapeHtml(source)}" width="${picture.width}" height="${picture.height}" alt="${escapeHtml(picture.title)}"></a>
  <figcaption><b>${escapeHtml(picture.title)} <span lang="zh-Hans">${escapeHtml(picture.titleZh)}</span></b><small>${format} · ${kilobytes} kB</small><small class="came"></small></figcaption>
</figure>`;
}

/** Long instructions are shortened in the middle; the link has the whole one. */
function renderProcessed({ title, titleZh, suffix, url, width, height }: Processed, { visit }: SamplePage): string {
  const source = `${url}${url.includes("?") ? "&" : "?"}visit=${visit}`;
  const shown = suffix.length > MAX_SHOWN ? `${suffix.slice(0, MAX_SHOWN - 22)}…${suffix.slice(-20)}` : suffix;
  return `<figure class="made">
  <a href="${escapeHtml(url)}"><img src="${escapeHtml(source)}" width="${width}" height="${height}" alt="${escapeHtml(title)}" loading="lazy"></a>
  <figcaption><b>${escapeHtml(title)} <span lang="zh-Hans">${escapeHtml(titleZh)}</span></b><code>${escapeHtml(shown)}</code></figcaption>
</figure>`;
}

const MAX_SHOWN = 64;

/**
 * After all pictures have loaded, gets the request counts of the site and shows the source of each picture. While the
 * site stops, it shows the progress.
 */
const SCRIPT = `
const readState = async () => (await fetch("/state")).json();
const stopForm = document.querySelector('[action="/stop-serving"]');
stopForm?.addEventListener("submit", () => {
  const button = stopForm.querySelector("button");
  button.disabled = true;
  setInterval(async () => {
    const state = await readState();
    button.textContent = "Storing the pictures: " + state.stored + " of " + document.querySelectorAll("main figure").length + " …";
  }, 200);
});
const figures = [...document.querySelectorAll("main figure")];
const settled = (image) => image.complete ? Promise.resolve() : new Promise((done) => { image.onload = image.onerror = done; });
addEventListener("load", async () => {
  await Promise.all(figures.map((figure) => settled(figure.querySelector("img"))));
  const state = await readState();
  document.getElementById("total").textContent = state.total;
  for (const figure of figures) {
    const image = figure.querySelector("img");
    const came = figure.querySelector(".came");
    const [timing] = performance.getEntriesByName(image.src);
    const took = timing ? " · " + Math.round(timing.duration) + " ms" : "";
    const wasAsked = (state.requests[figure.dataset.name] ?? 0) > Number(figure.dataset.asked);
    const [kind, text] = image.naturalWidth === 0 ? ["failed", "not loaded"] : wasAsked ? ["fetched", "fetched from this site"] : ["kept", "stored by Huiyuan"];
    came.classList.add(kind);
    came.textContent = text + took;
  }
});
`;
