// The frame of all pages: navigation, language and theme; before it the login page.
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { access, hasSession, logIn, logOut, openSession } from "./api.ts";
import { entriesOf } from "./frame.ts";
import { submitting, useCall } from "./load.ts";
import { InputField } from "./parts/fields.tsx";
import { Icon, Mark } from "./parts/icons.tsx";
import { Button, Empty, Loading, Page, ProblemNote } from "./parts/parts.tsx";
import { isTrial, Link, path } from "./router.tsx";
import { language, t } from "./text/text.ts";

/** By the path of the address. */
export type Pages = Readonly<Record<string, ComponentType>>;
type PagesProps = { readonly pages: Pages };

export function App({ pages }: PagesProps) {
  const { problem, run } = useCall();
  const open = () => void run(openSession);
  useEffect(open, []);
  if (access.value === "closed") return <LoginPage />;
  return (
    <div class="frame">
      <a class="skip" href="#main">
        {t("skip")}
      </a>
      <Side />
      <main id="main">
        {problem.value !== undefined && <ProblemNote problem={problem.value} retry={open} />}
        {access.value === "open" ? <Current pages={pages} /> : <Loading lines={6} />}
      </main>
    </div>
  );
}

function Current({ pages }: PagesProps) {
  const Own = pages[path.value];
  if (Own !== undefined) return <Own />;
  return (
    <Page title={t("noPage")}>
      <Empty title={path.value}>
        <Link href="/">{t("overview")}</Link>
      </Empty>
    </Page>
  );
}

function Side() {
  const isCurrent = (entry: string) => entry === path.value || (entry !== "/" && path.value.startsWith(`${entry}/`));
  return (
    <div class="side">
      <Link href="/" class="brand">
        <Mark />
        Huiyuan
      </Link>
      <nav aria-label={t("pages")}>
        {entriesOf(isTrial).map((entry) => (
          <Link key={entry.path} href={entry.path} aria-current={isCurrent(entry.path) ? "page" : undefined}>
            <Icon name={entry.name} />
            {t(entry.name)}
          </Link>
        ))}
      </nav>
      <footer>
        <Button
          label={language.value === "zh" ? "English" : "简体中文"}
          class="quiet"
          lang={language.value === "zh" ? "en" : "zh-Hans"}
          run={switchLanguage}
        />
        <button type="button" class="quiet" title={t("theme")} onClick={switchTheme}>
          <Icon name="theme" />
          <span class="visually-hidden">{t("theme")}</span>
        </button>
        {hasSession.value && <Button label={t("logOut")} class="quiet" run={logOut} />}
      </footer>
    </div>
  );
}

/** Asks for the admin token. */
function LoginPage() {
  const { problem, isRunning, run } = useCall();
  const submit = submitting((data) => run(() => logIn(String(data.get("token")))));
  return (
    <main class="login">
      <form class="card stack" onSubmit={submit}>
        <span class="brand">
          <Mark />
          Huiyuan
        </span>
        <h1>{t("logIn")}</h1>
        {/* Password managers file the token under a name. */}
        <input hidden name="user" autocomplete="username" value="admin" readOnly />
        <InputField
          label={t("adminToken")}
          hint={t("adminTokenHint")}
          fault={problem.value && (problem.value.status === 0 ? t("noAnswer") : problem.value.message)}
          {...{ type: "password", name: "token", autocomplete: "current-password", required: true, autofocus: true }}
        />
        <Button label={t("logIn")} class="primary" disabled={isRunning.value} />
      </form>
    </main>
  );
}

/** The server reads the cookies when it renders the document. */
function remember(name: string, value: string): void {
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is missing in Firefox and Safari.
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Strict`;
}

function switchLanguage(): void {
  language.value = language.value === "zh" ? "en" : "zh";
  document.documentElement.lang = language.value === "zh" ? "zh-Hans" : "en";
  remember("huiyuan_language", language.value);
}

function switchTheme(): void {
  const { dataset } = document.documentElement;
  const isDark =
    dataset.theme === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : dataset.theme === "dark";
  dataset.theme = isDark ? "light" : "dark";
  remember("huiyuan_theme", dataset.theme);
}
