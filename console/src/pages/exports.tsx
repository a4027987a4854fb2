// All exports with their progress.
import { useState } from "preact/hooks";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ExportTable } from "../components/export-list";
import { SelectField } from "../components/form";
import { Empty, LoadState, Page } from "../components/page";
import { PagerButtons, usePager } from "../components/pager";

type Status = Schemas["ExportStatus"];

const STATUSES: readonly (readonly [Status | "", string])[] = [
  ["", "All"],
  ["queued", "Queued"],
  ["running", "Running"],
  ["ready", "Ready"],
  ["failed", "Failed"],
  ["cancelled", "Canceled"],
];
const POLL_MS = 3000;

export default function Exports() {
  const [status, setStatus] = useState<Status | "">("");
  const pager = usePager();
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/exports", {
          params: { query: { limit: 25, cursor: pager.cursor, status: status || undefined } },
          signal,
        }),
      ),
    [status, pager.cursor],
    POLL_MS,
  );
  return (
    <Page
      title="Exports"
      lead="Files of highlights, streams and reels, in the formats of other services."
      actions={
        <>
          <a class="button" href="/console/exports/new">
            New export
          </a>
          <a class="button" href="/console/reels">
            New reel
          </a>
        </>
      }
    >
      <SelectField label="State" value={status} onValue={setStatus} options={STATUSES} />
      <LoadState data={data} error={error} reload={reload} />
      {data?.data.length === 0 && (
        <Empty title="No export here">
          <p>Choose a highlight and the formats that you need: new export.</p>
        </Empty>
      )}
      {data && data.data.length > 0 && (
        <ExportTable caption="Exports, newest first" exports={data.data} onChange={reload} />
      )}
      <PagerButtons pager={pager} next={data?.next_cursor} />
    </Page>
  );
}
