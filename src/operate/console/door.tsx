// Asks for the admin token.
import { logIn } from "./api.ts";
import { useCall } from "./load.ts";
import { Mark } from "./parts/icons.tsx";
import { Field } from "./parts/parts.tsx";
import { t } from "./text/text.ts";

export function Door() {
  const { problem, isRunning, run } = useCall();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get("token");
    void run(() => logIn(String(token)));
  };
  return (
    <main class="door">
      <form class="card stack" onSubmit={submit}>
        <span class="brand">
          <Mark />
          Huiyuan
        </span>
        <h1>{t("logIn")}</h1>
        {/* Password managers file the token under a name. */}
        <input hidden name="user" autocomplete="username" value="admin" readOnly />
        <Field
          label={t("adminToken")}
          hint={t("adminTokenHint")}
          fault={problem.value && (problem.value.status === 0 ? t("noAnswer") : problem.value.message)}
          control={(properties) => (
            <input {...properties} type="password" name="token" autocomplete="current-password" required autofocus />
          )}
        />
        <button type="submit" class="primary" disabled={isRunning.value}>
          {t("logIn")}
        </button>
      </form>
    </main>
  );
}
