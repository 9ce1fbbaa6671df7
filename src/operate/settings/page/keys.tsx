// The key pairs of a project. A new secret is shown once, right after it was made.
import { useSignal } from "@preact/signals";
import { get, post } from "../../console/api.ts";
import { useCall, useLoaded } from "../../console/load.ts";
import {
  Badge,
  Button,
  Card,
  ConfirmButton,
  CopyButton,
  ProblemNote,
  Show,
  Table,
} from "../../console/parts/parts.tsx";
import type { KeysChanged, ProjectKeys } from "../contract.ts";
import { t } from "../words.ts";
import { MASK } from "./draft.ts";
import { Diff } from "./review.tsx";

interface KeysProps {
  readonly appid: string;
  readonly isReadOnly: boolean;
  readonly file: string;
  /** The settings file has changed. */
  readonly changed: () => void;
}

/** A project has at most two, so that one can follow the other. */
const MOST_KEYS = 2;

export function Keys({ appid, isReadOnly, file, changed }: KeysProps) {
  const keys = useLoaded((signal) => get<ProjectKeys>("/settings/keys", {}, signal));
  const answer = useSignal<KeysChanged | undefined>(undefined);
  const { problem, run } = useCall();
  const call = async (name: "add" | "rotate" | "remove", secretId?: string) => {
    answer.value = undefined;
    answer.value = await run(() => post<KeysChanged>(`/settings/keys/${name}`, { appid, secretId }));
    keys.reload();
    changed();
  };
  return (
    <Card title={t("keysOf", { appid })} about={t("keysAbout")} isStack>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      {answer.value !== undefined && <Changed answer={answer.value} />}
      <Show of={keys.state} reload={keys.reload}>
        {({ projects }) => {
          const own = projects.find((project) => project.appid === appid)?.keys ?? [];
          return (
            <>
              <Pairs keys={own} isReadOnly={isReadOnly} file={file} call={call} />
              {!isReadOnly && (
                <div class="row">
                  <Button label={t("addKey")} disabled={own.length >= MOST_KEYS} run={() => call("add")} />
                  <span class="hint">{t("addKeyHint")}</span>
                </div>
              )}
            </>
          );
        }}
      </Show>
    </Card>
  );
}

function Changed({ answer: { secretId, secretKey, diff } }: { readonly answer: KeysChanged }) {
  return (
    <>
      {secretId !== undefined && secretKey !== undefined && (
        <div class="note good" role="status">
          <strong>{t("newKey")}</strong>
          <p class="row">
            SecretID <code>{secretId}</code> <CopyButton text={secretId} />
          </p>
          <p class="row">
            SecretKey <code>{secretKey}</code> <CopyButton text={secretKey} />
          </p>
          <p>{t("newKeyHint")}</p>
        </div>
      )}
      <details>
        <summary>{t("whatChanged")}</summary>
        <Diff lines={diff} />
      </details>
    </>
  );
}

interface PairsProps {
  readonly keys: ProjectKeys["projects"][number]["keys"];
  readonly isReadOnly: boolean;
  readonly file: string;
  readonly call: (name: "rotate" | "remove", secretId: string) => Promise<void>;
}

function Pairs({ keys, isReadOnly, file, call }: PairsProps) {
  return (
    <Table t={t} head={["secretId", "secretKey", "state", "changes"]}>
      {keys.map(({ secretId, secretKey, isEnabled }) => (
        <tr key={secretId}>
          <td class="long mono">{secretId}</td>
          <td class="long mono">{secretKey === MASK ? t("inFile", { file }) : secretKey}</td>
          <td>
            <Badge tone={isEnabled ? "good" : "plain"}>{isEnabled ? t("isEnabled") : t("isDisabled")}</Badge>
          </td>
          <td class="nowrap">
            {!isReadOnly && (
              <div class="row">
                <ConfirmButton
                  label={t("replaceKey")}
                  question={t("rotateQuestion", { secretId })}
                  run={() => void call("rotate", secretId)}
                />
                {keys.length > 1 && (
                  <ConfirmButton
                    label={t("remove")}
                    question={t("removeKeyQuestion", { secretId })}
                    run={() => void call("remove", secretId)}
                  />
                )}
              </div>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}
