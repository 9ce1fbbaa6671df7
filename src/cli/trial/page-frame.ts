// The frame that both pages of the trial share: the document's head with its style, and the escapes. The HTML is
// self-contained.

/** Escapes text for HTML, also for quoted attributes. */
export function escapeHtml(text: string): string {
  const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => escapes[character as keyof typeof escapes]);
}

/** The document up to the start of its body. `nonce`: the Content-Security-Policy nonce of the style. */
export function renderHead(title: string, nonce: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>`;
}

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
button:disabled { background: var(--soft); cursor: progress; } form + form { margin-top: 8px; } form + form button { background: none; color: var(--ink); border: 1px solid var(--line); }
button:hover { filter: brightness(1.07); } :is(button, a, input):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.hint { font-size: 13px; color: var(--soft); margin-top: 10px; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 22px; }
figure { display: flex; flex-direction: column; background: var(--card); border: 1px solid var(--line); border-radius: 16px; overflow: hidden; transition: transform .2s, box-shadow .2s; }
figure:hover { transform: translateY(-3px); box-shadow: 0 14px 34px rgb(20 30 50 / .14); }
figure a { display: block; color: inherit; text-decoration: none; flex: 1; background: var(--line); min-height: 0; } img { display: block; width: 100%; height: 100%; aspect-ratio: 3 / 2; object-fit: cover; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; align-items: baseline; padding: 11px 16px 13px; font-size: 15px; }
figcaption b { flex: 1 0 100%; font-weight: 600; } figcaption b span { color: var(--soft); font-weight: 400; margin-left: 4px; }
small { font-size: 12.5px; color: var(--soft); font-variant-numeric: tabular-nums; } .came { margin-left: auto; font-weight: 600; } .came.kept { color: var(--good); } .came.fetched { color: var(--accent); } .came.failed { color: var(--bad); }
section { margin-top: clamp(32px, 5vw, 64px); } h2 { font-size: clamp(22px, 2.6vw, 30px); letter-spacing: -.015em; } section > p { max-width: 80ch; margin: 8px 0 20px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 270px), 1fr)); gap: 22px; } .made a { background: none; flex: none; }
code { font: 12px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); word-break: break-all; }
label { display: block; font-size: 13px; font-weight: 600; margin-bottom: 6px; } .problem { color: var(--bad); overflow-wrap: anywhere; }
input { width: 100%; font: inherit; font-size: 14px; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 11px; padding: 9px 12px; margin-bottom: 8px; } [action="/"] button { background: var(--accent); }
.none { display: grid; place-items: center; aspect-ratio: 3 / 2; font-size: 34px; font-weight: 700; color: var(--soft); } figcaption b { overflow-wrap: anywhere; }
@media (min-width: 1080px) { main figure:first-child { grid-column: span 2; grid-row: span 2; } }
@media (max-width: 820px) { header { grid-template-columns: 1fr; } }
@media (prefers-reduced-motion: reduce) { figure { transition: none; } }
footer { color: var(--soft); font-size: 13px; text-align: center; margin-top: 44px; }
`;
