// Renders the page of the sample site: a gallery of pictures from the mirror, and a switch that stops the origin. The
// HTML is self-contained, in two languages; it works without its script, which only adds figures.
import { type Processed, processedSamples, type SamplePicture } from "./sample-pictures.ts";

/** Content of the page. renderSamplePage() escapes all of it. */
export interface SamplePage {
  readonly pictures: readonly SamplePicture[];
  /** Absolute URL of a picture at the mirror. */
  readonly mirrorUrl: (name: string) => string;
  /** Number of picture requests that reached the site, by name. */
  readonly requests: ReadonlyMap<string, number>;
  readonly isServing: boolean;
  /** Page views. Puts a new query into each view's URLs, to bypass the browser's cache; the mirror ignores it. */
  readonly visit: number;
  /** The Content-Security-Policy nonce of the style and the script. */
  readonly nonce: string;
}

/** Escapes text for HTML, also for quoted attributes. */
function escapeHtml(text: string): string {
  const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => escapes[character as keyof typeof escapes]);
}

/** The number of picture requests. */
export function totalOf(requests: SamplePage["requests"]): number {
  return [...requests.values()].reduce((sum, count) => sum + count, 0);
}

/** The whole document. */
export function renderSamplePage(page: SamplePage): string {
  const total = totalOf(page.requests);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A small picture site · Huiyuan</title>
<link rel="icon" href="data:,">
<style nonce="${page.nonce}">${STYLE}</style>
</head>
<body>
<header>
  <div>
    <p class="eyebrow">The origin · <span lang="zh-Hans">源站</span></p>
    <h1>A small picture site</h1>
    <p class="zh" lang="zh-Hans">一个小小的图片站</p>
    <p>Every picture here is served by <b>Huiyuan</b>. On the first visit Huiyuan fetched each one from this site and stored it.
      Reload: they are no longer fetched from here.</p>
    <p class="zh" lang="zh-Hans">本页的每张图片都由回源（Huiyuan）提供：首次访问时从本站取回并存储；刷新页面，图片便不再来自本站。</p>
  </div>
  ${renderSwitch(page.isServing, total)}
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

function renderSwitch(isServing: boolean, total: number): string {
  const [action, label, labelZh, state, stateZh] = isServing
    ? ["stop-serving", "Stop the origin", "停止源站", "Serving pictures", "源站正常"]
    : ["resume-serving", "Start it again", "恢复源站", "Stopped: answers 503", "源站已停"];
  const hint = isServing
    ? "Stop the origin and reload: the pictures stay."
    : "The origin is down, and the pictures are still served. Reload as often as you like.";
  return `<aside class="${isServing ? "up" : "down"}">
    <p class="state"><i></i>${state} · <span lang="zh-Hans">${stateZh}</span></p>
    <p class="count"><output id="total">${total}</output> picture requests have reached this site<br><span class="zh" lang="zh-Hans">次图片请求到达过源站</span></p>
    <form method="post" action="/${action}"><button>${label} · <span lang="zh-Hans">${labelZh}</span></button></form>
    <p class="hint">${hint}</p>
  </aside>`;
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

const STYLE = `
:root { color-scheme: light dark; --paper: #f6f4ef; --card: #fff; --ink: #1d2430; --soft: #667085; --line: #e4e0d8; --accent: #1f6f8b; --good: #2c8a57; --bad: #c2452d; }
@media (prefers-color-scheme: dark) { :root { --paper: #10141b; --card: #181e28; --ink: #e8ecf2; --soft: #94a0b3; --line: #262e3b; --accent: #63b3cd; --good: #5cc48c; --bad: #f0836a; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; padding: clamp(20px, 4vw, 56px); }
header, main, section, footer { max-width: 1240px; margin-inline: auto; }
header { display: grid; grid-template-columns: 1fr minmax(280px, 360px); gap: clamp(24px, 5vw, 72px); align-items: center; margin-bottom: clamp(24px, 4vw, 48px); }
h1 { font-size: clamp(30px, 4.4vw, 50px); line-height: 1.1; letter-spacing: -.025em; }
header p { max-width: 62ch; } header p + p { margin-top: 6px; } h1 + .zh { font-size: 19px; margin: 6px 0 18px; }
.zh { color: var(--soft); } .eyebrow { color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .06em; margin-bottom: 10px; }
aside { background: var(--card); border: 1px solid var(--line); border-radius: 18px; padding: 22px 24px; box-shadow: 0 10px 34px rgb(20 30 50 / .07); }
.state { font-size: 14px; font-weight: 600; color: var(--good); } .down .state { color: var(--bad); }
.state i { display: inline-block; width: 9px; height: 9px; border-radius: 50%; background: currentColor; margin-right: 8px; box-shadow: 0 0 0 4px color-mix(in srgb, currentColor 18%, transparent); }
.count { font-size: 14px; line-height: 1.45; color: var(--soft); margin: 10px 0 16px; }
output { display: block; font-size: 46px; line-height: 1.1; font-weight: 700; letter-spacing: -.03em; color: var(--ink); font-variant-numeric: tabular-nums; }
button { width: 100%; font: inherit; font-weight: 600; color: #fff; background: var(--bad); border: 0; border-radius: 11px; padding: 10px 14px; cursor: pointer; }
.down button { background: var(--good); } @media (prefers-color-scheme: dark) { button { color: #10141b; } }
button:hover { filter: brightness(1.07); } :is(button, a):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.hint { font-size: 13px; color: var(--soft); margin-top: 10px; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 22px; }
figure { display: flex; flex-direction: column; background: var(--card); border: 1px solid var(--line); border-radius: 16px; overflow: hidden; transition: transform .2s, box-shadow .2s; }
figure:hover { transform: translateY(-3px); box-shadow: 0 14px 34px rgb(20 30 50 / .14); }
figure a { display: block; flex: 1; background: var(--line); min-height: 0; } img { display: block; width: 100%; height: 100%; aspect-ratio: 3 / 2; object-fit: cover; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; align-items: baseline; padding: 11px 16px 13px; font-size: 15px; }
figcaption b { flex: 1 0 100%; font-weight: 600; } figcaption b span { color: var(--soft); font-weight: 400; margin-left: 4px; }
small { font-size: 12.5px; color: var(--soft); font-variant-numeric: tabular-nums; } .came { margin-left: auto; font-weight: 600; } .came.kept { color: var(--good); } .came.fetched { color: var(--accent); } .came.failed { color: var(--bad); }
section { margin-top: clamp(32px, 5vw, 64px); } h2 { font-size: clamp(22px, 2.6vw, 30px); letter-spacing: -.015em; } section > p { max-width: 80ch; margin: 8px 0 20px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: 22px; } .made a { background: none; flex: none; }
code { font: 12px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); word-break: break-all; }
@media (min-width: 1080px) { main figure:first-child { grid-column: span 2; grid-row: span 2; } }
@media (max-width: 820px) { header { grid-template-columns: 1fr; } }
@media (prefers-reduced-motion: reduce) { figure { transition: none; } }
footer { color: var(--soft); font-size: 13px; text-align: center; margin-top: 44px; }
`;

/** After all pictures have loaded, gets the request counts of the site and shows the source of each picture. */
const SCRIPT = `
const figures = [...document.querySelectorAll("main figure")];
const settled = (image) => image.complete ? Promise.resolve() : new Promise((done) => { image.onload = image.onerror = done; });
addEventListener("load", async () => {
  await Promise.all(figures.map((figure) => settled(figure.querySelector("img"))));
  const state = await (await fetch("/state")).json();
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
