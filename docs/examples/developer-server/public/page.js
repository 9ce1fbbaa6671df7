// Uploads from the browser with progress: gets a permit from the developer's server, sends the file to the image
// service, then shows the developer's server's record of it. The secret key never reaches the browser.
const files = document.querySelector("#files");
const drop = document.querySelector("#upload");
const transfers = document.querySelector("#transfers");
const pictures = document.querySelector("#pictures");
const news = document.querySelector("#news");
const sure = document.querySelector("#sure");

/** Concurrent uploads; further ones wait. */
const LANES = 2;
/**
 * These codes mean that the file is stored although the upload reports an error: the callback failed, or an earlier
 * attempt succeeded.
 */
const STORED_ALL_THE_SAME = [-5979, -1886];
/** Error codes that a user can act on. */
const REFUSALS = {
  [-1893]: "not a picture that can be read",
  [-5995]: "empty, or larger than 20 MB",
  [-96]: "that took too long; try again",
  [-2000]: "the image service is busy; try again",
};

const waiting = [];
let busy = 0;

files.addEventListener("change", () => {
  enqueue(files.files);
  files.value = "";
});
drop.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") enqueue(event.dataTransfer.files);
  });
}

pictures.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  sure.returnValue = "no";
  sure.showModal();
  await new Promise((resolve) => sure.addEventListener("close", resolve, { once: true }));
  if (sure.returnValue !== "yes") return;
  const card = form.closest("article");
  const answer = await fetch(form.action, { method: "POST" }).catch(() => undefined);
  if (answer?.ok) {
    say(`${card.querySelector("h2").textContent} is deleted`);
    card.remove();
    files.focus();
  } else say("It could not be deleted. Try again.");
});

function enqueue(list) {
  for (const file of list) waiting.push({ file, row: addRow(file.name) });
  next();
}

function next() {
  while (busy < LANES && waiting.length > 0) {
    busy += 1;
    // Never rejects: errors are shown in the file's row.
    void transfer(waiting.shift()).then(() => {
      busy -= 1;
      next();
    });
  }
}

async function transfer({ file, row }) {
  try {
    const permit = await askPermit(file);
    const { code } = await send(file, permit, row);
    if (code !== 0 && !STORED_ALL_THE_SAME.includes(code)) throw new Error(REFUSALS[code] ?? `refused (${code})`);
    row.show("stored");
    await showPicture(permit.id);
    say(`${file.name} is stored`);
    row.item.remove();
  } catch (error) {
    row.fail(error.message);
    say(`${file.name} could not be uploaded: ${error.message}`);
  }
}

async function askPermit(file) {
  const answer = await fetch("/permits", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ title: file.name }),
  });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.message);
  return json;
}

/** fetch reports no upload progress, so this uses XMLHttpRequest. */
function send(file, { url, sign }, row) {
  const form = new FormData();
  form.append("FileContent", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Authorization", `QCloud ${sign}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => row.progress(loaded / total));
    request.addEventListener("load", () =>
      request.response === null ? reject(new Error("no answer of the image service")) : resolve(request.response),
    );
    request.addEventListener("error", () => reject(new Error("the connection broke")));
    request.send(form);
  });
}

/** Fetches HTML from the developer's server, so that user input is escaped in one place. */
async function showPicture(id) {
  const answer = await fetch(`/pictures/${id}`);
  if (!answer.ok) throw new Error("it is stored and will appear here soon; reload the page");
  pictures.insertAdjacentHTML("afterbegin", await answer.text());
}

function addRow(name) {
  const item = document.createElement("li");
  const [label, bar, state] = ["span", "progress", "span"].map((tag) => document.createElement(tag));
  label.textContent = name;
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Upload of ${name}`);
  state.textContent = "waiting";
  item.append(label, bar, state);
  transfers.append(item);
  const show = (text) => {
    state.textContent = text;
  };
  return {
    item,
    show,
    progress(share) {
      bar.value = share;
      show(share < 1 ? `${Math.floor(share * 100)} %` : "storing");
    },
    fail(message) {
      item.classList.add("failed");
      bar.remove();
      show(message);
    },
  };
}

function say(text) {
  news.textContent = text;
}
