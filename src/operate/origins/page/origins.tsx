// The origins: whether they answer, how much they are asked, how fast they are, and what failed.

import { get } from "../../console/api.ts";
import { useLive } from "../../console/live.ts";
import { useLoaded } from "../../console/load.ts";
import { Empty, Page, Show } from "../../console/parts/parts.tsx";
import { t } from "../../console/text/text.ts";
import type { OriginsAnswer } from "../contract.ts";
import { OriginCard } from "./origin-card.tsx";

/** With more origins their plots are closed at first. */
const FEW = 4;

export function OriginsPage() {
  useLive();
  const origins = useLoaded((signal) => get<OriginsAnswer>("/origins", {}, signal), { everyMs: 2_000 });
  return (
    <Page title={t("origins")} about={t("originsAbout")}>
      <Show of={origins.state} reload={origins.reload}>
        {({ origins: all }) =>
          all.length === 0 ? (
            <Empty title={t("noOrigins")}>
              <p>{t("noOriginsHint")}</p>
            </Empty>
          ) : (
            all.map((origin, index) => (
              <OriginCard key={`${origin.name} ${index}`} origin={origin} isOpen={all.length <= FEW} />
            ))
          )
        }
      </Show>
    </Page>
  );
}
