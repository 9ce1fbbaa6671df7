// Asks for the admin token.
import { useSignal } from "@preact/signals";
import { logIn, Problem } from "../api.ts";
import { Mark } from "../parts/icons.tsx";
import { Field } from "../parts/parts.tsx";
import { t } from "../text/text.ts";

export function Door() {
  const fault = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get("token");
    isBusy.value = true;
    try {
      await logIn(String(token));
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0);
      fault.value = problem.status === 0 ? t("noAnswer") : problem.message;
    } finally {
      isBusy.value = false;
    }
  };
  return (
    <main class="door">
      <form class="card stack" onSubmit={(event) => void submit(event)}>
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
          fault={fault.value}
          control={(properties) => (
            <input {...properties} type="password" name="token" autocomplete="current-password" required autofocus />
          )}
        />
        <button type="submit" class="primary" disabled={isBusy.value}>
          {t("logIn")}
        </button>
      </form>
    </main>
  );
}
