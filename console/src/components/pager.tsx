// Pages of a list, newest first.
import { useState } from "preact/hooks";

export interface Pager {
  cursor: string | undefined;
  page: number;
  next: (cursor: string) => void;
  back: () => void;
}

export function usePager(): Pager {
  const [cursors, setCursors] = useState<string[]>([]);
  return {
    cursor: cursors.at(-1),
    page: cursors.length + 1,
    next: (cursor) => setCursors((before) => [...before, cursor]),
    back: () => setCursors((before) => before.slice(0, -1)),
  };
}

export function PagerButtons({ pager, next }: { pager: Pager; next: string | null | undefined }) {
  if (pager.page === 1 && !next) return null;
  return (
    <nav class="actions pager" aria-label="Pages of this list">
      <button type="button" disabled={pager.page === 1} onClick={pager.back}>
        Newer
      </button>
      <span class="quiet">Page {pager.page}</span>
      <button type="button" disabled={!next} onClick={() => next && pager.next(next)}>
        Older
      </button>
    </nav>
  );
}
