// All streams: their state, how far behind live they are, and their latest highlight.
import { useEffect, useState } from "preact/hooks";
import { api, unwrap, type Schemas } from "../api/client";
import { followEvents } from "../api/events";
import { useLoad } from "../api/load";
import { behindLive, isActive, type Stream } from "../api/streams";
import { clock, duration, moment } from "../components/format";
import { Badge, Empty, LoadState, Page, type Tone } from "../components/page";
import { Table } from "../components/table";

const REFRESH_MS = 3000;
// A browser opens six connections to a server; one per followed stream leaves some for the rest.
const MOST_FOLLOWED = 3;

const TONES: Record<Stream["status"], Tone> = {
  starting: "neutral",
  live: "live",
  stalled: "warning",
  ending: "live",
  completed: "good",
  failed: "bad",
  cancelled: "neutral",
};

export function StreamBadge({ status }: { status: Stream["status"] }) {
  return <Badge tone={TONES[status]}>{status}</Badge>;
}

export default function Streams() {
  const { data, error, reload } = useLoad(readStreams, [], REFRESH_MS);
  const followed = data?.filter(isActive).slice(0, MOST_FOLLOWED).map(({ id }) => id) ?? [];
  return (
    <Page title="Streams" lead="Newest first. Live streams come first and update by themselves.">
      <LoadState data={data} error={error} reload={reload} />
      {data?.length === 0 && (
        <Empty title="No stream yet">
          <p>
            Start one with <code>POST /v1/streams/analyze</code>, or play the demo with{" "}
            <code>make demo</code>.
          </p>
        </Empty>
      )}
      {data && data.length > 0 && (
        <Table
          caption="Streams"
          rows={data}
          rowKey={(row) => row.id}
          columns={[
            {
              name: "Stream",
              cell: (row) => (
                <a href={`/console/streams/${row.id}`}>{row.title || row.external_id || row.game}</a>
              ),
            },
            { name: "State", cell: (row) => <StreamBadge status={row.status} /> },
            { name: "Game", cell: (row) => row.game },
            { name: "Behind live", isNumber: true, cell: behind },
            { name: "Analyzed", isNumber: true, cell: (row) => clock(row.analyzed) },
            { name: "Highlights", isNumber: true, cell: (row) => row.highlights },
            {
              name: "Latest highlight",
              cell: (row) => <Latest stream={row} isFollowed={followed.includes(row.id)} />,
            },
            { name: "Started", cell: (row) => moment(row.created_at) },
          ]}
        />
      )}
    </Page>
  );
}

/** Return the streams, those that run with their newest state and before the others. */
async function readStreams(signal: AbortSignal): Promise<Stream[]> {
  const page = await unwrap(api.GET("/v1/streams", { params: { query: { limit: 50 } }, signal }));
  const current = await Promise.all(
    page.data.map((row) =>
      isActive(row)
        ? unwrap(api.GET("/v1/streams/{stream_id}", { params: { path: { stream_id: row.id } }, signal }))
        : row,
    ),
  );
  return [...current.filter(isActive), ...current.filter((row) => !isActive(row))];
}

function behind(stream: Stream): string {
  const seconds = behindLive(stream);
  return seconds === null ? "–" : duration(seconds);
}

/** The latest highlight of a stream: pushed by the API, or read with every refresh of the list. */
function Latest({ stream, isFollowed }: { stream: Stream; isFollowed: boolean }) {
  const [pushed, setPushed] = useState<Schemas["Highlight"]>();
  const { data } = useLoad(
    async (signal) => {
      if (stream.highlights === 0) return null;
      const query = { stream_id: stream.id, limit: 1 };
      const page = await unwrap(api.GET("/v1/highlights/list", { params: { query }, signal }));
      return page.data[0] ?? null;
    },
    [stream.id, stream.highlights],
  );
  useEffect(() => {
    if (!isFollowed) return;
    const controller = new AbortController();
    void followEvents(
      `/v1/streams/${stream.id}/events`,
      ({ name, data: body }) => {
        if (name === "highlight") setPushed(body as Schemas["Highlight"]);
      },
      controller.signal,
    );
    return () => controller.abort();
  }, [stream.id, isFollowed]);
  const latest = [pushed, data].filter((each) => each != null).sort((a, b) => b.peak - a.peak)[0];
  if (!latest) return <>–</>;
  return (
    <a href={`/console/highlights/${latest.id}`}>
      {clock(latest.peak)} {latest.title} ({latest.score.toFixed(2)})
    </a>
  );
}
