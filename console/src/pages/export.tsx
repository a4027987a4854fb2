// One export: its files, with their progress, measurements and links.
import { useLocation, useRoute } from "preact-iso/router";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import {
  cancelExport,
  deleteExport,
  ExportStatus,
  isUnfinished,
  nameOf,
  Progress,
  SourceLink,
} from "../components/export-list";
import { bytes, clock, duration, moment } from "../components/format";
import { Facts, LoadState, Page } from "../components/page";
import { Table } from "../components/table";

type Rendition = Schemas["ExportRendition"];

const POLL_MS = 2000;
const MOVIES: readonly Rendition["format"][] = ["mp4", "webm"];
const PICTURES: readonly Rendition["format"][] = ["gif", "webp", "thumbnail"];

export default function ExportPage() {
  const id = useRoute().params["id"] ?? "";
  const { route } = useLocation();
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/exports/{export_id}", { params: { path: { export_id: id } }, signal })),
    [id],
    POLL_MS,
  );
  return (
    <Page
      title="Export"
      actions={
        data && (
          <>
            {isUnfinished(data) && (
              <ActionButton
                done="Export canceled"
                onAction={async () => {
                  await cancelExport(id);
                  reload();
                }}
              >
                Cancel
              </ActionButton>
            )}
            <ActionButton
              confirm="The export and its files are deleted for good."
              done="Export deleted"
              onAction={async () => {
                await deleteExport(id);
                route("/console/exports");
              }}
            >
              Delete
            </ActionButton>
          </>
        )
      }
    >
      <LoadState data={data} error={error} reload={reload} />
      {data && (
        <>
          <Facts
            facts={[
              ["State", <ExportStatus status={data.status} />],
              ["Progress", <Progress of={data} />],
              ["Source", <SourceLink of={data} />],
              ["Created", moment(data.created_at)],
              ["Finished", moment(data.finished_at)],
            ]}
          />
          {data.message && <p class="problem">{data.message}</p>}
          <Table
            caption="Files of the export"
            rows={data.renditions}
            rowKey={(row) => String(row.number)}
            columns={[
              { name: "File", cell: nameOf },
              { name: "State", cell: (row) => <ExportStatus status={row.status} /> },
              {
                name: "Picture",
                cell: (row) => (row.width ? `${row.width} × ${row.height}, ${row.fit}` : "–"),
              },
              { name: "Length", isNumber: true, cell: (row) => (row.duration ? duration(row.duration) : "–") },
              { name: "Size", isNumber: true, cell: (row) => (row.size ? bytes(row.size) : "–") },
              { name: "Loudness", isNumber: true, cell: (row) => (row.loudness ? `${row.loudness.toFixed(1)} LUFS` : "–") },
              { name: "Link", cell: (row) => <Links of={row} /> },
            ]}
          />
          <div class="columns gallery">
            {data.renditions.map((each) => (
              <Preview key={each.number} of={each} />
            ))}
          </div>
          {data.source.chapters && data.source.chapters.length > 0 && (
            <section class="card">
              <h2>Clips of the reel</h2>
              <ol>
                {data.source.chapters.map((chapter) => (
                  <li key={chapter.highlight_id + chapter.start}>
                    {clock(chapter.start)}{" "}
                    <a href={`/console/highlights/${chapter.highlight_id}`}>{chapter.title}</a>
                  </li>
                ))}
              </ol>
            </section>
          )}
        </>
      )}
    </Page>
  );
}

function Links({ of }: { of: Rendition }) {
  if (of.message) return <>{of.message}</>;
  if (!of.url) return <>–</>;
  return (
    <>
      <a href={of.url} download>
        Download
      </a>
      {of.index_url && (
        <>
          {" "}
          <a href={of.index_url}>Playlist or index</a>
        </>
      )}
    </>
  );
}

function Preview({ of }: { of: Rendition }) {
  if (!of.url) return null;
  if (MOVIES.includes(of.format)) {
    return (
      <figure class="card">
        <video src={of.url} controls preload="metadata" aria-label={`Preview of ${nameOf(of)}`} />
        <figcaption>{nameOf(of)}</figcaption>
      </figure>
    );
  }
  if (!PICTURES.includes(of.format)) return null;
  return (
    <figure class="card">
      <img src={of.url} alt={`Preview of ${nameOf(of)}`} />
      <figcaption>{nameOf(of)}</figcaption>
    </figure>
  );
}
