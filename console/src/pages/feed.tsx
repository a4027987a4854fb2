// The feed of a stream: how far its clock is from the picture, and what became of each event.
import { useRoute } from "preact-iso/router";
import { useState } from "preact/hooks";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { Form, SelectField, TextField } from "../components/form";
import { clock, moment, words } from "../components/format";
import { Badge, Empty, Facts, LoadState, Page, ProblemNote, type Tone } from "../components/page";
import { PagerButtons, usePager } from "../components/pager";
import { Table } from "../components/table";

type Outcome = Schemas["FeedOutcome"];

const OUTCOMES: Record<Outcome, { tone: Tone; meaning: string }> = {
  raised: { tone: "good", meaning: "Strengthened a highlight" },
  marked: { tone: "good", meaning: "Made a highlight" },
  linked: { tone: "good", meaning: "Belongs to a highlight" },
  waiting: { tone: "live", meaning: "Its moment is not decided yet" },
  unused: { tone: "neutral", meaning: "There is no highlight" },
  too_late: { tone: "warning", meaning: "Its moment had been analyzed before" },
  unplaced: { tone: "warning", meaning: "It has no place in the stream" },
  retracted: { tone: "neutral", meaning: "Another event took it back" },
};
const POLL_MS = 3000;

export default function Feed() {
  const id = useRoute().params["id"] ?? "";
  const [outcome, setOutcome] = useState<Outcome | "">("");
  const pager = usePager();
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/streams/{stream_id}/feed-events", {
          params: {
            path: { stream_id: id },
            query: { limit: 50, cursor: pager.cursor, outcome: outcome || undefined },
          },
          signal,
        }),
      ),
    [id, outcome, pager.cursor],
    POLL_MS,
  );
  return (
    <Page
      title="Feed"
      lead={
        <>
          Scores, odds and settlements of <a href={`/console/streams/${id}`}>this stream</a>.
        </>
      }
    >
      {!error && <FeedClock stream={id} />}
      <section>
        <h2>Events</h2>
        <SelectField
          label="What became of them"
          value={outcome}
          onValue={setOutcome}
          options={[
            ["", "All"],
            ...Object.entries(OUTCOMES).map(([key, { meaning }]) => [key as Outcome, meaning] as const),
          ]}
        />
        <LoadState data={data} error={error} reload={reload} />
        {data?.data.length === 0 && (
          <Empty title="No event here">
            <p>
              Send one with <code>highlights feed</code> or <code>POST /v1/streams/{"{id}"}/events</code>.
            </p>
          </Empty>
        )}
        {data && data.data.length > 0 && (
          <Table
            caption="Events of the feed, newest first"
            rows={data.data}
            rowKey={(row) => row.id}
            columns={[
              { name: "Event", cell: (row) => row.id },
              { name: "Kind", cell: (row) => words(row.kind) },
              { name: "Market", cell: (row) => row.market ?? "–" },
              {
                name: "Outcome",
                cell: (row) => <Badge tone={OUTCOMES[row.outcome].tone}>{words(row.outcome)}</Badge>,
              },
              { name: "Why", cell: (row) => row.detail || OUTCOMES[row.outcome].meaning },
              {
                name: "Place",
                isNumber: true,
                cell: (row) =>
                  row.place === null ? "–" : `${clock(row.place)}${row.error === null ? "" : ` ± ${row.error.toFixed(1)} s`}`,
              },
              {
                name: "Highlight",
                cell: (row) =>
                  row.highlight_id ? <a href={`/console/highlights/${row.highlight_id}`}>Open</a> : "–",
              },
              { name: "Subjects", cell: (row) => row.subjects.join(", ") || "–" },
              { name: "Received", cell: (row) => moment(row.received_at) },
            ]}
          />
        )}
        <PagerButtons pager={pager} next={data?.next_cursor} />
      </section>
    </Page>
  );
}

function FeedClock({ stream }: { stream: string }) {
  const [offset, setOffset] = useState("");
  const [bound, setBound] = useState("1");
  const path = { stream_id: stream };
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/streams/{stream_id}/feed-clock", { params: { path }, signal })),
    [stream],
    POLL_MS,
  );
  return (
    <section class="card">
      <h2>Clock</h2>
      {error && <ProblemNote error={error} onRetry={reload} />}
      {data && (
        <>
          <Facts
            facts={[
              ["Source", words(data.source)],
              ["Picture minus feed", `${data.offset.toFixed(2)} s`],
              ["Error at most", `${data.error.toFixed(2)} s`],
              ["Events it rests on", data.pairs],
            ]}
          />
          {data.source === "unknown" && (
            <p class="quiet">
              Fewer than three events met a moment, so events by wall clock only strengthen highlights.
            </p>
          )}
          {data.source === "set" && (
            <ActionButton
              done="The clock is estimated from the next events on"
              onAction={async () => {
                await unwrap(api.DELETE("/v1/streams/{stream_id}/feed-clock", { params: { path } }));
                reload();
              }}
            >
              Estimate it again
            </ActionButton>
          )}
        </>
      )}
      <Form
        submit="Set the clock"
        onSubmit={async () => {
          await unwrap(
            api.PUT("/v1/streams/{stream_id}/feed-clock", {
              params: { path },
              body: { offset: Number(offset), error: Number(bound) },
            }),
          );
          reload();
        }}
      >
        <TextField
          label="Seconds from feed to picture"
          type="number"
          step="0.01"
          min="-600"
          max="600"
          required
          value={offset}
          onValue={setOffset}
          hint="Negative if the picture is ahead of the feed."
        />
        <TextField label="Error at most (s)" type="number" step="0.01" min="0.01" max="60" required value={bound} onValue={setBound} />
      </Form>
    </section>
  );
}
