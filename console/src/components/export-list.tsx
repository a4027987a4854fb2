// Exports with their progress, and what can be done with them.
import { api, unwrap, type Schemas } from "../api/client";
import { ActionButton } from "./action";
import { clock, duration, moment } from "./format";
import { Badge, type Tone } from "./page";
import { Table } from "./table";

type Export = Schemas["Export"];

const TONES: Record<Export["status"], Tone> = {
  queued: "neutral",
  running: "live",
  ready: "good",
  failed: "bad",
  cancelled: "neutral",
};

export function ExportStatus({ status }: { status: Export["status"] }) {
  return <Badge tone={TONES[status]}>{status}</Badge>;
}

export function isUnfinished({ status }: { status: Export["status"] }): boolean {
  return status === "queued" || status === "running";
}

/** How many files of an export are ready or have failed. */
export function Progress({ of }: { of: Export }) {
  const finished = of.renditions.filter((each) => !isUnfinished(each)).length;
  const text = `${finished} of ${of.renditions.length} files`;
  return (
    <span class="progress">
      <progress max={of.renditions.length} value={finished} aria-label={text} />
      {text}
    </span>
  );
}

/** What a rendition is, such as `mp4 9:16 tiktok`. */
export function nameOf(rendition: Schemas["ExportRendition"]): string {
  const aspect = rendition.aspect === "source" ? "" : ` ${rendition.aspect}`;
  return `${rendition.format}${aspect}${rendition.preset ? ` ${rendition.preset}` : ""}`;
}

export async function cancelExport(id: string): Promise<void> {
  await unwrap(api.POST("/v1/exports/{export_id}/cancel", { params: { path: { export_id: id } } }));
}

export async function deleteExport(id: string): Promise<void> {
  await unwrap(api.DELETE("/v1/exports/{export_id}", { params: { path: { export_id: id } } }));
}

export function ExportTable(props: { caption: string; exports: readonly Export[]; onChange: () => void }) {
  return (
    <Table
      caption={props.caption}
      rows={props.exports}
      rowKey={(row) => row.id}
      columns={[
        {
          name: "Export",
          cell: (row) => <a href={`/console/exports/${row.id}`}>{row.renditions.map(nameOf).join(", ")}</a>,
        },
        { name: "State", cell: (row) => <ExportStatus status={row.status} /> },
        { name: "Progress", cell: (row) => <Progress of={row} /> },
        { name: "Source", cell: (row) => <SourceLink of={row} /> },
        { name: "Created", cell: (row) => moment(row.created_at) },
        {
          name: "Actions",
          cell: (row) =>
            isUnfinished(row) ? (
              <ActionButton
                done="Export canceled"
                onAction={async () => {
                  await cancelExport(row.id);
                  props.onChange();
                }}
              >
                Cancel
              </ActionButton>
            ) : (
              <ActionButton
                confirm="The export and its files are deleted for good."
                done="Export deleted"
                onAction={async () => {
                  await deleteExport(row.id);
                  props.onChange();
                }}
              >
                Delete
              </ActionButton>
            ),
        },
      ]}
    />
  );
}

export function SourceLink({ of: { source } }: { of: Export }) {
  const length = duration(source.end - source.start);
  if (source.chapters?.length) return <>Reel of {source.chapters.length} clips, {length}</>;
  if (source.highlight_id) {
    return (
      <a href={`/console/highlights/${source.highlight_id}`}>
        Highlight at {clock(source.start)}, {length}
      </a>
    );
  }
  return (
    <a href={`/console/streams/${source.stream_id}`}>
      Stream from {clock(source.start)}, {length}
    </a>
  );
}
