// The stored results of processing one image.
import { useSignal } from "@preact/signals";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Card, Show } from "../../console/parts/parts.tsx";
import { Table } from "../../console/parts/table.tsx";
import { ago, bytes, moment } from "../../console/text/format.ts";
import { t } from "../../console/text/text.ts";
import type { VariantPage } from "../contract.ts";

interface VariantsProps {
  readonly bucket: string;
  readonly imageKey: string;
}

/** A preview adds one. */
const EVERY_MS = 5_000;

export function Variants({ bucket, imageKey: key }: VariantsProps) {
  const after = useSignal<string | undefined>(undefined);
  const page = useLoaded(
    (signal) => get<VariantPage>("/objects/variants", { bucket, key, after: after.value }, signal),
    { everyMs: EVERY_MS },
  );
  const show = (from: string | undefined) => () => {
    after.value = from;
  };
  return (
    <Card title={t("variants")} about={t("variantsAbout")}>
      <Show of={page.state} reload={page.reload}>
        {({ variants, next }) => (
          <div class="stack">
            {variants.length === 0 ? <p class="hint">{t("noVariants")}</p> : <List variants={variants} />}
            {(next !== undefined || after.value !== undefined) && (
              <div class="row">
                <button type="button" disabled={after.value === undefined} onClick={show(undefined)}>
                  {t("firstVariants")}
                </button>
                <button type="button" disabled={next === undefined} onClick={show(next)}>
                  {t("moreVariants")}
                </button>
              </div>
            )}
          </div>
        )}
      </Show>
    </Card>
  );
}

function List({ variants }: Pick<VariantPage, "variants">) {
  return (
    <Table head={["variantOf", "format", "dimensions", "size", "storedAt"]} numbers={["dimensions", "size"]}>
      {variants.map(({ name, alias, recipe, format, width, height, size, storedAt }) => (
        <tr key={name}>
          <td title={recipe ?? name}>{alias === undefined ? t("byInstruction") : <span class="mono">{alias}</span>}</td>
          <td>{format.toUpperCase()}</td>
          <td class="number">{width === undefined ? "–" : `${width} × ${height}`}</td>
          <td class="number">{bytes(size)}</td>
          <td class="nowrap" title={moment(storedAt)}>
            {ago(storedAt)}
          </td>
        </tr>
      ))}
    </Table>
  );
}
