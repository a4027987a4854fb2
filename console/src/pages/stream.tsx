// One stream: what was seen of it, what was decided, why, and the clips of it.
import { useEffect, useRef, useState } from "preact/hooks";
import { useRoute } from "preact-iso/router";
import { api, unwrap } from "../api/client";
import { followEvents } from "../api/events";
import { useLoad } from "../api/load";
import { behindLive, isActive, readMoments, type StreamDetail } from "../api/streams";
import { useWorkflows } from "../api/temporal";
import { EvidenceList, ReasonList, STATUSES, StatusBadge, type Highlight } from "../components/highlights";
import { clock, duration } from "../components/format";
import { Badge, Empty, Facts, Loading, Page, ProblemNote } from "../components/page";
import { HoverClip, Player } from "../components/player";
import { Table } from "../components/table";
import { Timeline } from "../components/timeline";
import { StreamBadge } from "./streams";

const REFRESH_MS = 3000;

export default function StreamPage() {
  const id = useRoute().params["id"]!;
  const stream = useLoad(
    (signal) => unwrap(api.GET("/v1/streams/{stream_id}", { params: { path: { stream_id: id } }, signal })),
    [id],
    REFRESH_MS,
  );
  const isRunning = stream.data !== undefined && isActive(stream.data);
  // Moments that were rejected are not among the events, so they are read from time to time.
  const moments = useLoad((signal) => readMoments(id, STATUSES, signal), [id], REFRESH_MS);
  const isConnected = useEvents(id, isRunning, moments.reload);
  const [selected, setSelected] = useState<string>();
  const workflows = useWorkflows(id);
  const { data, error } = stream;
  if (!data) return error ? <Page title="Stream"><ProblemNote error={error} /></Page> : <Loading />;
  const found = moments.data ?? [];
  const chosen = found.find((each) => each.id === selected);
  return (
    <Page
      title={data.title || data.external_id || data.game}
      lead={
        <>
          <StreamBadge status={data.status} /> {data.game}
          {isRunning && (isConnected ? " · updates live" : " · reconnecting …")}
        </>
      }
      actions={
        <>
          {workflows && (
            <a class="button" href={workflows} target="_blank" rel="noreferrer">
              Workflows
            </a>
          )}
          <a class="button" href={`/console/streams/${id}/feed`}>
            Feed
          </a>
          <a class="button" href={`/console/reels?stream=${id}`}>
            Reel
          </a>
          <a class="button" href="/console">
            All streams
          </a>
        </>
      }
    >
      {error && <ProblemNote error={error} onRetry={stream.reload} />}
      {moments.error && <ProblemNote error={moments.error} onRetry={moments.reload} />}
      <Summary stream={data} />
      <section class="card" aria-label="Timeline">
        <Timeline stream={data} moments={found} selected={selected} onSelect={setSelected} isLive={isRunning} />
      </section>
      <div class="columns">
        <section class="card" aria-label="Decision" aria-live="polite">
          {chosen ? <Decision highlight={chosen} /> : <Hint moments={found} />}
        </section>
        <section class="card" aria-label="Live picture">
          <h2>{isRunning ? "Live picture" : "Picture"}</h2>
          {isRunning ? (
            <Player label="Live picture" hls={data.url} isLive />
          ) : (
            <p class="quiet">The stream has ended{data.end ? `: ${data.end.message}` : "."}</p>
          )}
        </section>
      </div>
      <Clips moments={found} />
      <Gaps stream={data} />
      <Moments moments={found} onSelect={setSelected} />
    </Page>
  );
}

/** Follow the stream's events while it runs; return whether they arrive. */
function useEvents(id: string, isRunning: boolean, onChange: () => void): boolean {
  const [isConnected, setConnected] = useState(true);
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => {
    if (!isRunning) return;
    const controller = new AbortController();
    void followEvents(
      `/v1/streams/${id}/events`,
      ({ name }) => {
        if (name === "highlight") latest.current();
      },
      controller.signal,
      setConnected,
    );
    return () => controller.abort();
  }, [id, isRunning]);
  return isConnected;
}

function Summary({ stream }: { stream: StreamDetail }) {
  const behind = behindLive(stream);
  return (
    <>
      <Facts
        facts={[
          ["Behind live", behind === null ? "–" : duration(behind)],
          ["Received", clock(stream.position)],
          ["Analyzed", clock(stream.analyzed)],
          ["Windows", stream.windows],
          ["Segments lost", stream.missed],
          ["Highlights", stream.highlights],
          ["Clips", stream.clips],
          ["Profile", `${stream.profile.id} ${stream.profile.version}`],
        ]}
      />
      {stream.problems.map(({ code, message }) => (
        <p key={code}>
          <Badge tone="warning">{code}</Badge> {message}
        </p>
      ))}
    </>
  );
}

function Hint({ moments }: { moments: Highlight[] }) {
  return (
    <>
      <h2>Why?</h2>
      <p class="quiet">
        {moments.length > 0
          ? "Select a moment of the timeline to see why it was chosen or not."
          : "No moment has stood out yet. They appear here as soon as the analysis proposes one."}
      </p>
    </>
  );
}

function Decision({ highlight }: { highlight: Highlight }) {
  return (
    <>
      <h2>
        {clock(highlight.peak)} {highlight.title}
      </h2>
      <p>
        <StatusBadge status={highlight.status} /> scored <strong>{highlight.score.toFixed(2)}</strong>{" "}
        <span class="quiet">
          {clock(highlight.start)} to {clock(highlight.end)}
        </span>
      </p>
      <h3>Why it was {outcome(highlight.status)}</h3>
      <ReasonList highlight={highlight} />
      <h3>Evidence</h3>
      <EvidenceList highlight={highlight} />
      <a class="button" href={`/console/highlights/${highlight.id}`}>
        Open the highlight
      </a>
    </>
  );
}

function outcome(status: Highlight["status"]): string {
  return { confirmed: "chosen", pending: "chosen for now" }[status as string] ?? `not chosen (${status})`;
}

function Clips({ moments }: { moments: Highlight[] }) {
  const ready = moments.filter(({ clip }) => clip?.url);
  return (
    <section class="card" aria-label="Clips">
      <h2>Clips</h2>
      {ready.length === 0 && <p class="quiet">No clip is ready yet.</p>}
      <div class="clips">
        {ready.map(({ id, title, peak, clip }) => (
          <figure key={id}>
            <HoverClip
              key={clip!.id}
              label={`Clip of ${clock(peak)} ${title}`}
              href={`/console/highlights/${id}`}
              mp4={clip!.url!}
              poster={clip!.thumbnail_url}
            />
            <figcaption>
              {clock(peak)} {title}
            </figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}

function Gaps({ stream }: { stream: StreamDetail }) {
  return (
    <section class="card" aria-label="Gaps">
      <h2>Missing media</h2>
      {stream.gaps.length === 0 ? (
        <p class="quiet">Nothing is missing.</p>
      ) : (
        <Table
          caption="Gaps"
          rows={stream.gaps}
          rowKey={(gap) => String(gap.start)}
          columns={[
            { name: "At", isNumber: true, cell: (gap) => clock(gap.start) },
            { name: "Length", isNumber: true, cell: (gap) => duration(gap.duration) },
            { name: "Reason", cell: (gap) => gap.reason },
            { name: "Detail", cell: (gap) => gap.detail },
            { name: "State", cell: (gap) => `${gap.status} ${gap.resolution}` },
          ]}
        />
      )}
    </section>
  );
}

function Moments({ moments, onSelect }: { moments: Highlight[]; onSelect: (id: string) => void }) {
  return (
    <section class="card" aria-label="Moments">
      <h2>All moments that were considered</h2>
      {moments.length === 0 ? (
        <Empty title="None yet" />
      ) : (
        <Table
          caption="Moments, in order"
          rows={moments}
          rowKey={(row) => row.id}
          columns={[
            {
              name: "Moment",
              cell: (row) => (
                <button type="button" class="link" onClick={() => onSelect(row.id)}>
                  {clock(row.peak)} {row.title}
                </button>
              ),
            },
            { name: "Decision", cell: (row) => <StatusBadge status={row.status} /> },
            { name: "Score", isNumber: true, cell: (row) => row.score.toFixed(2) },
            { name: "Main reason", cell: (row) => row.reasons.at(-1)?.words ?? "–" },
          ]}
        />
      )}
    </section>
  );
}
