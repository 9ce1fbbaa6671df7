// Lists the source into the journal, page by page, while earlier pages are copied already.
import type { Filters } from "../config/filters.ts";
import type { Journal, JournalPage } from "../journal/journal.ts";
import type { Source, SourcePage } from "../source.ts";

export interface ScanOptions {
  readonly source: Pick<Source, "isResumable" | "list">;
  readonly filters: Filters;
  readonly journal: Journal;
  /** As in JournalPage. */
  readonly rechecks: boolean;
  /** Called after each page. */
  readonly onPage: () => void;
  /** True: an interrupted scan is not continued. */
  readonly rescans: boolean;
  readonly signal: AbortSignal;
}

/**
 * Resolves once the whole listing is in the journal. Throws the source's error and the signal's reason; the next run
 * then continues the scan.
 */
export async function scan(options: ScanOptions): Promise<void> {
  const { source, filters, journal, rechecks, onPage, rescans, signal } = options;
  const after = journal.beginScan(source.isResumable, rescans);
  for await (const page of source.list(after, signal)) {
    signal.throwIfAborted();
    journal.addPage({ ...filtered(page, filters), rechecks });
    onPage();
  }
  journal.endScan();
}

/** A name that cannot become an object passes the filters as it is shown. */
export function filtered(
  { objects, failures, cursor }: SourcePage,
  { rename }: Filters,
): Omit<JournalPage, "rechecks"> {
  const kept = objects.flatMap((object) => {
    const fileid = rename(object.fileid);
    return fileid === undefined ? [] : [{ ...object, fileid }];
  });
  const broken = failures.filter(({ shown }) => rename(shown) !== undefined);
  const ignored = objects.length - kept.length + failures.length - broken.length;
  return { objects: kept, failures: broken, ignored, cursor };
}
