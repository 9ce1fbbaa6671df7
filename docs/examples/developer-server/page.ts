// Renders the page. All user input passes through `html`, which escapes it.
import { html } from "hono/html";
import { type Client, type Processing, processing } from "huiyuan/client";
import type { Picture } from "./pictures.ts";

type Html = ReturnType<typeof html>;

/** The processed versions that the page shows of each picture, with the processing in their URLs. */
const MADE: readonly { readonly name: string; readonly about: string; readonly process: Processing }[] = [
  {
    name: "Thumbnail",
    about: "cut to a square",
    process: processing().autoOrient().fill({ width: 240, height: 240 }),
  },
  {
    name: "WebP",
    about: "a fraction of the bytes",
    process: processing().autoOrient().fit({ width: 480, height: 480 }).format("webp").quality(75),
  },
  {
    name: "Watermark",
    about: "your name on it",
    process: processing()
      .autoOrient()
      .fit({ width: 480, height: 480 })
      .markText("© 回源 Huiyuan", { font: "simhei", fontSize: 36, colour: "#ffffff", shadow: 60, dx: 14, dy: 12 }),
  },
];
const SHOWN = processing().autoOrient().fit({ width: 1200, height: 900 }).quality(85);
const ADDRESS_SECONDS = 3600;

export function page(pictures: readonly Picture[], client: Client): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pictures</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
<script src="/page.js" type="module"></script>
</head>
<body>
<header>
  <h1>Pictures</h1>
  <p>Your browser sends them straight to the image service; this server only signs, and is told when they have arrived.</p>
</header>
<main>
  <form id="upload" class="drop">
    <input type="file" id="files" accept="image/*" multiple>
    <label for="files"><strong>Choose pictures</strong> <span>or drop them here</span></label>
    <p class="hint">JPEG, PNG, WebP, AVIF, GIF or BMP, up to 20 MB each</p>
  </form>
  <noscript><p class="note">Uploading with progress needs JavaScript.</p></noscript>
  <ul id="transfers" aria-label="Uploads"></ul>
  <p id="news" role="status" class="unseen"></p>
  <section id="pictures" aria-label="Your pictures">${pictures.map((picture) => pictureCard(picture, client))}</section>
  <p class="empty">Nothing here yet.</p>
</main>
<dialog id="sure" aria-labelledby="question">
  <form method="dialog">
    <p id="question">Delete this picture for good?</p>
    <button value="no" autofocus>Keep it</button>
    <button value="yes" class="danger">Delete</button>
  </form>
</dialog>
</body>
</html>`;
}

export function pictureCard(picture: Picture, client: Client): Html {
  const { id, fileid, title, size, at } = picture;
  const address = (process: Processing) => client.url(fileid, { process, sign: { lifeSeconds: ADDRESS_SECONDS } });
  const time = new Date(at * 1000).toISOString();
  return html`<article class="picture" id="picture-${id}">
  <a class="large" href="${address(SHOWN)}"><img src="${address(SHOWN)}" alt="${title}"></a>
  <div class="about">
    <h2>${title}</h2>
    <p>${kilobytes(size)} · <time datetime="${time}">${time.slice(0, 16).replace("T", " ")} UTC</time></p>
    <ul class="made">${MADE.map(
      ({ name, about, process }) => html`
      <li>
        <a href="${address(process)}"><img src="${address(process)}" alt="${name} of ${title}" loading="lazy"></a>
        <p><b>${name}</b> ${about}</p>
        <code>?${process.text}</code>
      </li>`,
    )}
    </ul>
    <form class="delete" method="post" action="/pictures/${id}/delete"><button>Delete</button></form>
  </div>
</article>`;
}

function kilobytes(size: number): string {
  return size < 1_000_000 ? `${Math.max(1, Math.round(size / 1000))} KB` : `${(size / 1_000_000).toFixed(1)} MB`;
}
