// Writes the body of the page of `huiyuan try`. It works without its script, which moves the slider and takes new
// figures: it replaces each element with `data-part` by that of a new page. hono/html escapes every text.
import { html, raw } from "hono/html";
import { type Language, MARK } from "../admin/console.ts";
import type { Form, TrialTexts } from "./texts.ts";
import { isImage, type Measured, medianMsOf, type TrialPicture, type TrialView } from "./trial-view.ts";

export interface TrialChoice {
  readonly texts: TrialTexts;
  readonly language: Language;
  /** Key of the picture to compare, and the form of it. */
  readonly picture: string | undefined;
  readonly form: string | undefined;
  /** `address`: as it was typed into the field; null if the stop was refused. */
  readonly fault: { readonly address: string | null; readonly text: string } | undefined;
}

export function renderTrial(view: TrialView, choice: TrialChoice) {
  const { texts: t, language } = choice;
  const { pictures } = view;
  const named = pictures.find(({ key }) => key === choice.picture);
  // WebP and AVIF make JPEG and PNG smaller.
  const shown = named ?? pictures.find(({ key }) => /\.(?:jpe?g|png)$/i.test(key)) ?? pictures[0];
  const other = language === "zh" ? { to: "en", lang: "en" } : { to: "zh", lang: "zh-Hans" };
  return html`<body class="trial">
<a class="skip" href="#main">${t.skip}</a>
<header class="top">
  <p class="brand"><svg viewBox="0 0 28 28" aria-hidden="true">${raw(MARK)}</svg>Huiyuan <span lang="zh-Hans">回源</span></p>
  <nav aria-label="${t.pages}"><a href="/trial" aria-current="page">${t.title}</a><a href="/">${t.console}</a></nav>
  <a href="/trial/language?to=${other.to}" lang="${other.lang}">${t.otherLanguage}</a>
</header>
<main id="main">
<div class="lead">
  <div>
    <p class="before">${t.running} <b>${new URL(view.siteUrl).host}</b></p>
    <h1>${t.heading}</h1>
    <p>${t.lead}</p>
    ${shown && html`<p class="before">${t.mirrorUrl} <a href="${shown.urlOf("original")}">${shown.urlOf("original")}</a></p>`}
  </div>
  ${view.origin && renderSwitch(view.origin, choice)}
  ${renderOwnSite(view, choice)}
</div>
${shown && renderComparison(view, shown, choice)}
${shown && renderGallery(pictures, choice)}
${shown && renderProcessed(pictures, choice)}
</main>
</body>`;
}

function renderSwitch(origin: NonNullable<TrialView["origin"]>, { texts: t, fault }: TrialChoice) {
  const { isStopped, requests, delayMs } = origin;
  const button = isStopped
    ? html`<form method="post" action="/trial/resume"><button class="primary">${t.resume}</button></form>`
    : html`<form method="post" action="/trial/stop"><button class="danger" data-busy="${t.storing}">${t.stop}</button></form>`;
  return html`<section class="card switch" aria-labelledby="switch">
    <h2 id="switch">${t.originName}</h2>
    <p><span class="badge ${isStopped ? "bad" : "good"}">${isStopped ? t.stopped : t.serving}</span> <span class="hint">${t.waits(delayMs)}</span></p>
    <p id="requests" data-part><output>${requests}</output> ${t.requests}</p>
    ${button}
    ${fault?.address === null ? html`<p class="fault" role="alert">${fault.text}</p>` : html`<p class="hint">${isStopped ? t.stoppedHint : t.stopHint}</p>`}
  </section>`;
}

function renderOwnSite({ trouble, pictures, hasSample, origin }: TrialView, { texts: t, fault }: TrialChoice) {
  const isRefused = typeof fault?.address === "string";
  const state = trouble ?? (pictures.length === 0 ? `${t.noPicture}. ${t.noPictureHint}` : undefined);
  const text = isRefused ? fault.text : state;
  return html`<section class="card own" aria-labelledby="own">
    <h2 id="own">${t.ownSite}</h2>
    <form method="post" action="/trial/use" class="field">
      <label for="address">${t.address}</label>
      <input id="address" name="address" value="${fault?.address ?? ""}" placeholder="https://your.site" inputmode="url"
        required maxlength="2000" autocapitalize="off" autocomplete="off" spellcheck="false"
        aria-describedby="address-note" aria-invalid="${isRefused}">
      ${text === undefined ? html`<p class="hint" id="address-note">${t.ownHint}</p>` : html`<p class="fault" id="address-note" role="alert">${text}</p>`}
      <button class="primary" data-busy="${t.looking}">${t.use}</button>
    </form>
    <p class="hint">${t.keep} <code>npm link && mkdir ~/mirror && cd ~/mirror && huiyuan serve --new</code></p>
    ${hasSample && origin === undefined ? html`<form method="post" action="/trial/use"><button class="quiet" name="address" value="">${t.sampleSite}</button></form>` : ""}
  </section>`;
}

const imageOf = (key: string, form: Form) => `/trial/picture?key=${encodeURIComponent(key)}&form=${form}`;
const pageOf = (key: string, form: Form = "avif") =>
  `/trial?picture=${encodeURIComponent(key)}&form=${form}#comparison`;

function renderComparison(view: TrialView, picture: TrialPicture, choice: TrialChoice) {
  const { texts: t, language } = choice;
  const { key, direct } = picture;
  const form = choice.form === "webp" ? "webp" : "avif";
  const title = picture.title[language];
  const right = picture.forms[form]?.again ?? picture.forms[form]?.first;
  const sizeOf = (measured: Measured | undefined) => (measured?.status === 200 ? ` · ${bytesOf(measured.bytes)}` : "");
  const isGone = view.origin?.isStopped === true;
  return html`<section class="card comparison" id="comparison" aria-labelledby="compare">
  <h2 id="compare">${t.compare}: <span>${title}</span></h2>
  <div class="slider">
    ${isGone ? html`<p class="gone">${t.stopped}</p>` : html`<img src="/trial/original?key=${encodeURIComponent(key)}" alt="${title}: ${t.fromOrigin}">`}
    <img class="right" src="${imageOf(key, form)}" alt="${title}: ${t.fromMirror}, ${t.formNames[form]}">
    <p class="tag" id="left-tag" data-part>${t.fromOrigin}${isGone ? "" : sizeOf(direct)}</p>
    <p class="tag right" id="right-tag" data-part>${t.fromMirror} · ${t.formNames[form]}${sizeOf(right)}</p>
    <input type="range" min="0" max="100" value="50" aria-label="${t.slider}" hidden>
  </div>
  <div class="measured">${renderFigures(view, picture, { ...choice, form })}</div>
</section>`;
}

function renderFigures({ origin }: TrialView, picture: TrialPicture, { texts: t, form: chosen }: TrialChoice) {
  const { key } = picture;
  const direct = origin?.isStopped ? { status: 503, isWhole: false, bytes: 0, milliseconds: 0 } : picture.direct;
  const { first, again } = picture.forms.original ?? {};
  const whole = first ?? again ?? picture.direct;
  const times = isImage(direct) && isImage(again) ? direct.milliseconds / Math.max(again.milliseconds, 0.01) : 0;
  const row = (
    id: string,
    name: unknown,
    measured: Measured | undefined,
    note: unknown = "",
    unknown = t.measuring,
  ) => {
    const size = isImage(measured) ? html`${bytesOf(measured.bytes)}${barOf(measured, whole)}` : "";
    const time = isImage(measured) ? timeOf(measured) : measured === undefined ? unknown : failureOf(measured, t);
    return html`<tr>
    <th scope="row">${name}<p class="hint" id="${id}-note" data-part>${note}</p></th>
    <td class="number" id="${id}-size" data-part>${size}</td>
    <td class="number" id="${id}-time" data-part>${time}</td>
  </tr>`;
  };
  const variant = (form: "webp" | "avif") => {
    const { first: made, again: hit } = picture.forms[form] ?? {};
    const name = html`<a href="${pageOf(key, form)}" ${form === chosen ? html`aria-current="true"` : ""}><img src="${imageOf(key, form)}" alt="" width="48" height="32">${t.as(t.formNames[form])}</a>`;
    return row(form, name, isImage(made) ? (hit ?? made) : made, isImage(made) ? savedBy(made, whole, t) : "");
  };
  return html`<table>
  <thead><tr><th scope="col">${t.answer}</th><th scope="col" class="number">${t.size}</th><th scope="col" class="number">${t.time}</th></tr></thead>
  <tbody>
  ${row("direct", t.direct, direct, origin && t.waits(origin.delayMs))}
  ${row("first", t.first, first, "", again ? t.earlier : t.measuring)}
  ${row("again", t.again, again, times > 1.5 ? html`<b class="good">${t.faster(times.toLocaleString("en", { maximumFractionDigits: times < 10 ? 1 : 0 }))}</b>` : "")}
  ${variant("webp")}
  ${variant("avif")}
  </tbody>
  </table>
  <p class="hint">${t.measured}</p>`;
}

function savedBy(made: Measured, whole: Measured | undefined, t: TrialTexts) {
  const saved = isImage(whole) ? 1 - made.bytes / whole.bytes : 0;
  const percent = `${Math.abs(Math.round(saved * 100))} %`;
  return html`${saved < 0 ? t.more(percent) : html`<b class="good">${t.less(percent)}</b>`} · ${t.made(timeOf(made))}`;
}

/** The size beside the original's, whose bar is full. */
function barOf({ bytes }: Measured, whole: Measured | undefined) {
  const width = Math.min(100, Math.round((100 * bytes) / Math.max(1, whole?.bytes ?? bytes)));
  return html`<svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="${width}" height="4"/></svg>`;
}

function renderGallery(pictures: readonly TrialPicture[], { texts: t, language }: TrialChoice) {
  const originals = pictures.map(({ forms }) => forms.original ?? {});
  const fetched = originals.flatMap(({ first }) => (isImage(first) ? [first] : []));
  const hits = originals.flatMap(({ again }) => (isImage(again) ? [again] : []));
  const stored = hits.length < fetched.length ? fetched : hits;
  const bytes = stored.reduce((sum, answer) => sum + answer.bytes, 0);
  const times =
    fetched.length > 0 && hits.length > 0
      ? t.medians(timeOf({ milliseconds: medianMsOf(fetched) }), timeOf({ milliseconds: medianMsOf(hits) }))
      : t.measuring;
  return html`<section aria-labelledby="gallery">
  <h2 id="gallery">${t.gallery}</h2>
  <p id="totals" data-part>${t.totals(stored.length, pictures.length, bytesOf(bytes))} · ${times}</p>
  <div class="gallery">
  ${pictures.map(
    ({ key, title, forms: { original: { first, again } = {} } }, place) => html`<figure>
    <a href="${pageOf(key)}"><img src="${imageOf(key, "original")}" alt="${title[language]}"></a>
    <figcaption><b title="${title[language]}">${title[language]}</b><p class="hint" id="picture-${place}" data-part>${renderTimes(first, again, t)}</p></figcaption>
  </figure>`,
  )}
  </div>
</section>`;
}

function renderTimes(first: Measured | undefined, again: Measured | undefined, t: TrialTexts) {
  const known = first ?? again;
  if (known === undefined) return t.measuring;
  if (!isImage(known)) return html`<b class="fault">${failureOf(known, t)}</b>`;
  const times = [first && t.fetched(timeOf(first)), again && html`<b class="good">${t.nowIn(timeOf(again))}</b>`];
  return html`${bytesOf(known.bytes)}${times.map((time) => time && html` · ${time}`)}`;
}

const PROCESSED: readonly Form[] = ["crop", "round", "watermark", "alias"];
const MAX_SHOWN = 64;

function renderProcessed(pictures: readonly TrialPicture[], { texts: t, language }: TrialChoice) {
  const made = PROCESSED.flatMap((form, place) => {
    const picture = pictures[(place + 1) % pictures.length];
    return picture === undefined ? [] : [{ form, picture, url: picture.urlOf(form) }];
  });
  return html`<section aria-labelledby="processed">
  <h2 id="processed">${t.processed}</h2>
  <p>${t.processedLead}</p>
  <div class="gallery">
  ${made.map(({ form, picture, url }) => {
    const suffix = url.slice(picture.urlOf("original").length);
    // The link has the whole instruction.
    const text = suffix.length > MAX_SHOWN ? `${suffix.slice(0, MAX_SHOWN - 22)}…${suffix.slice(-20)}` : suffix;
    return html`<figure>
    <a href="${url}"><img src="${imageOf(picture.key, form)}" alt="${picture.title[language]}: ${t.formNames[form]}" loading="lazy"></a>
    <figcaption><b>${t.formNames[form]}</b><code>${text}</code></figcaption>
  </figure>`;
  })}
  </div>
</section>`;
}

function failureOf({ status, isWhole }: Measured, t: TrialTexts): string {
  if (status === 0) return t.noStatus;
  return status === 200 && !isWhole ? t.broken : t.failed(String(status));
}

function timeOf({ milliseconds: ms }: Pick<Measured, "milliseconds">): string {
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

function bytesOf(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
