// Writes the body of the page of `huiyuan try`, in the frame of the console. It works without its script, which moves
// the slider and takes new figures: it replaces each element with `data-part` by that of a new page. hono/html escapes
// every text.
import { html, raw } from "hono/html";
import { type Language, MARK } from "../admin/console.ts";
import { entriesOf, ICONS } from "../console/frame.ts";
import type { Form } from "./run/forms.ts";
import { isImage, type Measured, medianMsOf } from "./run/timed-request.ts";
import type { TrialPicture, TrialView } from "./run/trial.ts";
import type { TrialTexts } from "./words.ts";

export interface TrialChoice {
  readonly t: TrialTexts;
  readonly language: Language;
  /** Key of the picture to compare, and the form of it. */
  readonly picture: string | undefined;
  readonly form: string | undefined;
  /** `address`: as it was typed into the field; null if the stop was refused. */
  readonly fault: { readonly address: string | null; readonly text: string } | undefined;
}

export function renderTrial(view: TrialView, choice: TrialChoice) {
  const { t } = choice;
  const { pictures } = view;
  const named = pictures.find(({ key }) => key === choice.picture);
  // WebP and AVIF make JPEG and PNG smaller.
  const shown = named ?? pictures.find(({ key }) => /\.(?:jpe?g|png)$/i.test(key)) ?? pictures[0];
  const url = shown?.urlOf("original");
  return html`<body>
<div class="frame">
<a class="skip" href="#main">${t("skip")}</a>
${renderSide(choice)}
<main id="main"><div class="page">
<header><div>
  <h1>${t("heading")}</h1>
  <p>${t("lead")}</p>
  <p>${t("running")} <code>${new URL(view.siteUrl).host}</code></p>
  ${url && html`<p>${t("mirrorUrl")} <code><a href="${url}">${url}</a></code></p>`}
</div></header>
<div class="halves">${view.origin && renderSwitch(view.origin, choice)}${renderOwnSite(view, choice)}</div>
${shown && [renderComparison(view, shown, choice), renderGallery(pictures, choice), renderProcessed(pictures, choice)]}
</div></main>
</div>
</body>`;
}

/** The navigation, as the console draws it. */
function renderSide({ t, language }: TrialChoice) {
  const [other, lang, name] = language === "zh" ? ["en", "en", "English"] : ["zh", "zh-Hans", "简体中文"];
  return html`<div class="side">
<a class="brand" href="/"><svg viewBox="0 0 28 28" aria-hidden="true">${raw(MARK)}</svg>Huiyuan</a>
<nav aria-label="${t("pages")}">${entriesOf(true).map(
    (entry) => html`
  <a href="${entry.path}"${entry.name === "trial" ? raw(' aria-current="page"') : ""}><svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[entry.name]}"/></svg>${t(entry.name)}</a>`,
  )}
</nav>
<footer><a class="button quiet" href="/trial/language?to=${other}" lang="${lang}">${name}</a></footer>
</div>`;
}

function renderSwitch({ isStopped, requests, delayMs }: NonNullable<TrialView["origin"]>, { t, fault }: TrialChoice) {
  const button = isStopped
    ? html`<form method="post" action="/trial/resume"><button class="primary">${t("resume")}</button></form>`
    : html`<form method="post" action="/trial/stop"><button class="danger" data-busy="${t("storing")}">${t("stop")}</button></form>`;
  return html`<section class="card" aria-labelledby="switch">
  <header><h2 id="switch">${t("originName")}</h2> <span class="badge ${isStopped ? "bad" : "good"}">${t(isStopped ? "stopped" : "serving")}</span></header>
  <div class="stack tight">
    <p class="hint">${t("waits", { ms: delayMs })}</p>
    <p class="reached" id="requests" data-part><output>${requests}</output> ${t("reached")}</p>
    ${button}
    ${fault?.address === null ? html`<p class="fault" role="alert">${fault.text}</p>` : html`<p class="hint">${t(isStopped ? "stoppedHint" : "stopHint")}</p>`}
  </div>
</section>`;
}

function renderOwnSite({ trouble, pictures, hasSample, origin }: TrialView, { t, fault }: TrialChoice) {
  const isRefused = typeof fault?.address === "string";
  const text = isRefused ? fault.text : (trouble ?? (pictures.length === 0 ? t("noPicture") : undefined));
  return html`<section class="card" aria-labelledby="own">
  <header><h2 id="own">${t("ownSite")}</h2></header>
  <div class="stack tight">
    <form method="post" action="/trial/use" class="field">
      <label for="address">${t("address")}</label>
      <span class="row"><input class="grow" id="address" name="address" value="${fault?.address ?? ""}" placeholder="https://your.site"
        inputmode="url" required maxlength="2000" autocapitalize="off" autocomplete="off" spellcheck="false"
        aria-describedby="address-note" aria-invalid="${isRefused}"><button class="primary" data-busy="${t("looking")}">${t("use")}</button></span>
      ${text === undefined ? html`<p class="hint" id="address-note">${t("ownHint")}</p>` : html`<p class="fault" id="address-note" role="alert">${text}</p>`}
    </form>
    ${hasSample && origin === undefined ? html`<form method="post" action="/trial/use"><button name="address" value="">${t("sampleSite")}</button></form>` : ""}
    <p class="hint">${t("keep")} <code>npm link && mkdir ~/mirror && cd ~/mirror && huiyuan serve --new</code></p>
  </div>
</section>`;
}

const imageOf = (key: string, form: Form) => `/trial/picture?key=${encodeURIComponent(key)}&form=${form}`;
const pageOf = (key: string, form: Form = "avif") =>
  `/trial?picture=${encodeURIComponent(key)}&form=${form}#comparison`;

function renderComparison(view: TrialView, picture: TrialPicture, choice: TrialChoice) {
  const { t, language } = choice;
  const { key, direct } = picture;
  const form = choice.form === "webp" ? "webp" : "avif";
  const title = picture.title[language];
  const right = picture.forms[form]?.again ?? picture.forms[form]?.first;
  const sizeOf = (measured: Measured | undefined) => (measured?.status === 200 ? ` · ${bytesOf(measured.bytes)}` : "");
  const isGone = view.origin?.isStopped === true;
  return html`<section class="card reveal" id="comparison" aria-labelledby="compare">
  <header><h2 id="compare">${t("compare")}: ${title}</h2></header>
  <div class="compared">
  <div class="slider">
    ${isGone ? html`<div class="fills empty"><strong>${t("stopped")}</strong></div>` : html`<img class="fills" src="/trial/original?key=${encodeURIComponent(key)}" alt="${title}: ${t("origin")}">`}
    <img class="fills cut" src="${imageOf(key, form)}" alt="${title}: ${t("mirror")}, ${t(form)}">
    <p class="tag" id="left-tag" data-part>${t("origin")}${isGone ? "" : sizeOf(direct)}</p>
    <p class="tag" id="right-tag" data-part>${t("mirror")} · ${t(form)}${sizeOf(right)}</p>
    <input class="fills" type="range" min="0" max="100" value="50" aria-label="${t("slider")}" hidden>
  </div>
  <div>${renderFigures(view, picture, form, t)}</div>
  </div>
</section>`;
}

function renderFigures({ origin }: TrialView, picture: TrialPicture, chosen: Form, t: TrialTexts) {
  const { key } = picture;
  const direct = origin?.isStopped ? { status: 503, isWhole: false, bytes: 0, milliseconds: 0 } : picture.direct;
  const { first, again } = picture.forms.original ?? {};
  const whole = first ?? again ?? picture.direct;
  const times = isImage(direct) && isImage(again) ? direct.milliseconds / Math.max(again.milliseconds, 0.01) : 0;
  const timesText = times.toLocaleString("en", { maximumFractionDigits: times < 10 ? 1 : 0 });
  const row = (id: string, name: unknown, measured: Measured | undefined, note: unknown, unknown = t("measuring")) => {
    const size = isImage(measured) ? html`${bytesOf(measured.bytes)}${barOf(measured, whole)}` : "";
    const time = isImage(measured) ? timeOf(measured) : measured === undefined ? unknown : failureOf(measured, t);
    return html`<tr>
    <th class="name" scope="row">${name}<p class="hint" id="${id}-note" data-part>${note}</p></th>
    <td class="number" id="${id}-size" data-part>${size}</td>
    <td class="number" id="${id}-time" data-part>${time}</td>
  </tr>`;
  };
  const variant = (form: "webp" | "avif") => {
    const { first: made, again: hit } = picture.forms[form] ?? {};
    const name = html`<a class="row one-line" href="${pageOf(key, form)}" ${form === chosen ? html`aria-current="true"` : ""}><img src="${imageOf(key, form)}" alt="" width="48" height="32">${t("as", { form: t(form) })}</a>`;
    return row(form, name, isImage(made) ? (hit ?? made) : made, isImage(made) ? savedBy(made, whole, t) : "");
  };
  return html`<table>
  <thead><tr><th scope="col">${t("answer")}</th><th scope="col" class="number">${t("size")}</th><th scope="col" class="number">${t("time")}</th></tr></thead>
  <tbody>
  ${row("direct", t("direct"), direct, origin && t("waits", { ms: origin.delayMs }))}
  ${row("first", t("first"), first, "", t(again ? "earlier" : "measuring"))}
  ${row("again", t("hit"), again, times > 1.5 ? html`<b class="good">${t("faster", { times: timesText })}</b>` : "")}
  ${variant("webp")}
  ${variant("avif")}
  </tbody>
  </table>
  <p class="hint">${t("measured")}</p>`;
}

function savedBy(made: Measured, whole: Measured | undefined, t: TrialTexts) {
  const saved = isImage(whole) ? 1 - made.bytes / whole.bytes : 0;
  const percent = `${Math.abs(Math.round(saved * 100))} %`;
  const time = t("made", { time: timeOf(made) });
  return html`${saved < 0 ? t("more", { percent }) : html`<b class="good">${t("less", { percent })}</b>`} · ${time}`;
}

/** The size beside the original's, whose bar is full. */
function barOf({ bytes }: Measured, whole: Measured | undefined) {
  const width = Math.min(100, Math.round((100 * bytes) / Math.max(1, whole?.bytes ?? bytes)));
  return html`<svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="${width}" height="4"/></svg>`;
}

function renderGallery(pictures: readonly TrialPicture[], { t, language }: TrialChoice) {
  const fetched = pictures.map(({ forms }) => forms.original?.first).filter(isImage);
  const hits = pictures.map(({ forms }) => forms.original?.again).filter(isImage);
  const stored = hits.length < fetched.length ? fetched : hits;
  const bytes = bytesOf(stored.reduce((sum, answer) => sum + answer.bytes, 0));
  const medianOf = (answers: readonly Measured[]) => timeOf({ milliseconds: medianMsOf(answers) });
  const isKnown = fetched.length > 0 && hits.length > 0;
  const times = isKnown ? t("medians", { miss: medianOf(fetched), hit: medianOf(hits) }) : t("measuring");
  return html`<section class="stack tight" aria-labelledby="gallery">
  <h2 id="gallery">${t("gallery")}</h2>
  <p class="hint" id="totals" data-part>${t("totals", { count: stored.length, total: pictures.length, bytes })} · ${times}</p>
  <div class="tiles">${pictures.map(
    ({ key, title, forms: { original: { first, again } = {} } }, place) => html`
  <a class="tile" href="${pageOf(key)}"><img src="${imageOf(key, "original")}" alt=""><div class="words">
    <strong title="${title[language]}">${title[language]}</strong><p class="hint times" id="picture-${place}" data-part>${renderTimes(first, again, t)}</p>
  </div></a>`,
  )}
  </div>
</section>`;
}

function renderTimes(first: Measured | undefined, again: Measured | undefined, t: TrialTexts) {
  const known = first ?? again;
  if (known === undefined) return t("measuring");
  if (!isImage(known)) return html`<b class="fault">${failureOf(known, t)}</b>`;
  const fetched = first && html` · ${t("fetched", { time: timeOf(first) })}`;
  return html`${bytesOf(known.bytes)}${fetched}${again && html` · <b class="good">${t("nowIn", { time: timeOf(again) })}</b>`}`;
}

const PROCESSED: readonly Form[] = ["crop", "round", "watermark", "alias"];
const MAX_SHOWN = 64;

function renderProcessed(pictures: readonly TrialPicture[], { t, language }: TrialChoice) {
  const tiles = PROCESSED.map((form, place) => {
    const picture = pictures[(place + 1) % pictures.length];
    if (picture === undefined) return "";
    const url = picture.urlOf(form);
    const suffix = url.slice(picture.urlOf("original").length);
    // The link has the whole instruction.
    const text = suffix.length > MAX_SHOWN ? `${suffix.slice(0, MAX_SHOWN - 22)}…${suffix.slice(-20)}` : suffix;
    return html`
  <a class="tile" href="${url}"><img src="${imageOf(picture.key, form)}" alt="${picture.title[language]}" loading="lazy"><div class="words">
    <strong>${t(form)}</strong><code>${text}</code>
  </div></a>`;
  });
  return html`<section class="stack tight" aria-labelledby="processed">
  <h2 id="processed">${t("processed")}</h2>
  <p class="hint">${t("processedLead")}</p>
  <div class="tiles">${tiles}</div>
</section>`;
}

function failureOf({ status, isWhole }: Measured, t: TrialTexts): string {
  if (status === 0) return t("noStatus");
  return status === 200 && !isWhole ? t("broken") : t("failed", { status });
}

function timeOf({ milliseconds: ms }: Pick<Measured, "milliseconds">): string {
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function bytesOf(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
