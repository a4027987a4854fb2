// One highlight: its clip, its score, why it was chosen, and what people think of it.
import { useState } from "preact/hooks";
import { useRoute } from "preact-iso/router";
import { api, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { Radar } from "../components/chart";
import { Form, TextField } from "../components/form";
import { EvidenceList, ReasonList, StatusBadge } from "../components/highlights";
import { clock, moment, words } from "../components/format";
import { Badge, Facts, Loading, Page, ProblemNote } from "../components/page";
import { Player } from "../components/player";
import { Table } from "../components/table";
import { Tabs } from "../components/tabs";
import { useToast } from "../components/toast";

type Detail = Schemas["HighlightDetail"];

const REFRESH_MS = 3000;
const STEP_S = 0.1;

export default function HighlightPage() {
  const id = useRoute().params["id"]!;
  const path = { highlight_id: id };
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/highlights/{highlight_id}", { params: { path }, signal })),
    [id],
    REFRESH_MS,
  );
  const feedback = useLoad(
    (signal) => unwrap(api.GET("/v1/highlights/{highlight_id}/feedback", { params: { path }, signal })),
    [id],
  );
  if (!data) return error ? <Page title="Highlight"><ProblemNote error={error} onRetry={reload} /></Page> : <Loading />;
  const changed = () => {
    reload();
    feedback.reload();
  };
  return (
    <Page
      title={data.title}
      lead={
        <>
          <StatusBadge status={data.status} /> {clock(data.peak)} · {words(data.tier)} · {data.game}
        </>
      }
      actions={
        <>
          <a class="button" href={`/console/exports/new?highlight=${data.id}`}>
            Export
          </a>
          <a class="button" href={`/console/streams/${data.stream_id}`}>
            Stream
          </a>
        </>
      }
    >
      <div class="columns">
        <div>
          <Clip key={data.clip?.id} highlight={data} />
          <Review highlight={data} onChange={changed} />
          <Opinion highlight={data} onChange={changed} />
          <Bounds key={data.clip?.id} highlight={data} onChange={changed} />
        </div>
        <div>
          <section class="card" aria-label="Score">
            <h2>Score {data.score.toFixed(2)}</h2>
            <Radar
              title="Score by dimension"
              values={Object.entries(data.dimensions).map(([name, value]) => ({ label: words(name), value }))}
            />
            <p class="quiet">The analyzer is {Math.round(100 * data.confidence)} % confident.</p>
          </section>
          <MatchState highlight={data} />
        </div>
      </div>
      <section class="card">
        <Tabs
          label="Why"
          tabs={[
            { name: "Reasons", content: () => <ReasonList highlight={data} /> },
            { name: "Evidence", content: () => <EvidenceList highlight={data} /> },
            { name: "Explanation", content: () => <pre class="explanation">{data.explanation?.join("\n")}</pre> },
          ]}
        />
      </section>
      <section class="card" aria-label="Feedback">
        <h2>Feedback</h2>
        {feedback.error && <ProblemNote error={feedback.error} onRetry={feedback.reload} />}
        {feedback.data?.data.length === 0 && <p class="quiet">No feedback yet.</p>}
        {feedback.data && feedback.data.data.length > 0 && (
          <Table
            caption="Feedback, newest first"
            rows={feedback.data.data}
            rowKey={(row) => row.user}
            columns={[
              { name: "User", cell: (row) => row.user },
              { name: "Verdict", cell: (row) => row.verdict ?? "–" },
              {
                name: "Bounds",
                cell: ({ correction }) =>
                  correction ? `${correction.start.toFixed(1)} s to ${correction.end.toFixed(1)} s` : "–",
              },
              { name: "Note", cell: (row) => row.note || "–" },
              { name: "When", cell: (row) => moment(row.updated_at) },
            ]}
          />
        )}
      </section>
    </Page>
  );
}

/** The clip's player. Each answer of the API signs URLs again; the first ones stay, so that playing goes on. */
function Clip({ highlight }: { highlight: Detail }) {
  const { clip } = highlight;
  const playback = highlight.preview ?? highlight.playback; // of what awaits review there is a preview only
  const [first] = useState({ instant: playback.hls_url ?? clip?.playback.hls_url, exact: clip?.url });
  const [wants, setWants] = useState<"instant" | "exact">(playback.ready ?? "exact");
  const [exact, setExact] = useState(first.exact ?? null);
  const [poster, setPoster] = useState(clip?.thumbnail_url ?? null);
  if (exact === null && clip?.url) {
    setExact(clip.url);
    setPoster(clip.thumbnail_url);
  }
  const form = wants === "exact" && exact ? "exact" : first.instant ? "instant" : exact ? "exact" : null;
  return (
    <section class="card" aria-label="Clip">
      {form === null ? (
        <p class="quiet">{clip ? `The clip is ${clip.status}.` : "There is no clip of this moment."}</p>
      ) : (
        <Player
          label={`Clip of ${highlight.title}`}
          mp4={form === "exact" ? exact : null}
          hls={form === "instant" ? first.instant : null}
          poster={poster}
        />
      )}
      <div class="actions" role="group" aria-label="Form of the clip">
        <button type="button" aria-pressed={form === "instant"} disabled={!first.instant} onClick={() => setWants("instant")}>
          Instant
        </button>
        <button type="button" aria-pressed={form === "exact"} disabled={!exact} onClick={() => setWants("exact")}>
          Exact
        </button>
        {clip && (
          <span class="quiet">
            {clip.start.toFixed(1)} s to {clip.end.toFixed(1)} s, {clip.status}
          </span>
        )}
      </div>
    </section>
  );
}

function MatchState({ highlight }: { highlight: Detail }) {
  const { state } = highlight;
  return (
    <section class="card" aria-label="Match">
      <h2>Match</h2>
      {state ? (
        <Facts
          facts={[
            ["Score before", state.score_before?.join(" – ") ?? "–"],
            ["Score after", state.score_after?.join(" – ") ?? "–"],
            ["Clock", state.clock ?? "–"],
            ["Period", state.period ?? "–"],
          ]}
        />
      ) : (
        <p class="quiet">The screen did not show the state of the match, or no region of it is read.</p>
      )}
      <p>
        {highlight.tags.map((tag) => (
          <Badge key={tag}>{words(tag)}</Badge>
        ))}
      </p>
    </section>
  );
}

interface Editor {
  highlight: Detail;
  onChange: () => void;
}

const WITHHELD: Record<Schemas["WithheldReason"], string> = {
  awaiting_review: "Nothing is delivered before it is approved: no webhooks, links or exports.",
  rejected: "It was rejected, so nothing of it is delivered.",
  review_expired: "It was not reviewed in time, so nothing of it is delivered.",
  no_longer_valid: "Its policy ended, so its clips can no longer be played.",
};

/** Approve or reject a highlight that awaits review. */
function Review({ highlight, onChange }: Editor) {
  const { review, withheld } = highlight;
  if (!review && !withheld) return null;
  const request = { params: { path: { highlight_id: highlight.id } }, body: { note: "" } };
  return (
    <section class="card" aria-label="Review">
      <h2>Review</h2>
      {review && (
        <p>
          <Badge>{words(review.status)}</Badge> {review.by && `by ${review.by}`}
          {review.until && `until ${moment(review.until)}`}
        </p>
      )}
      {withheld && <p class="quiet">{WITHHELD[withheld]}</p>}
      {review?.status === "awaiting" && (
        <div class="actions">
          <ActionButton
            done="Approved and released."
            onAction={async () => {
              await unwrap(api.POST("/v1/highlights/{highlight_id}/approve", request));
              onChange();
            }}
          >
            Approve
          </ActionButton>
          <ActionButton
            done="Rejected."
            onAction={async () => {
              await unwrap(api.POST("/v1/highlights/{highlight_id}/reject", request));
              onChange();
            }}
          >
            Reject
          </ActionButton>
        </div>
      )}
    </section>
  );
}

async function giveFeedback(id: string, body: Schemas["FeedbackRequest"]): Promise<void> {
  await unwrap(
    api.POST("/v1/highlights/{highlight_id}/feedback", { params: { path: { highlight_id: id } }, body }),
  );
}

function Opinion({ highlight, onChange }: Editor) {
  const give = (verdict: "like" | "dislike") => async () => {
    await giveFeedback(highlight.id, { verdict, note: "" });
    onChange();
  };
  return (
    <section class="card" aria-label="Your opinion">
      <div class="actions">
        <ActionButton done="Liked. Later highlights learn from it." onAction={give("like")}>
          Like
        </ActionButton>
        <ActionButton done="Disliked. Later highlights learn from it." onAction={give("dislike")}>
          Dislike
        </ActionButton>
        <span class="quiet">Teaches the profile what you want.</span>
      </div>
    </section>
  );
}

function Bounds({ highlight, onChange }: Editor) {
  const toast = useToast();
  const [start, setStart] = useState(() => (highlight.clip?.start ?? highlight.start).toFixed(1));
  const [end, setEnd] = useState(() => (highlight.clip?.end ?? highlight.end).toFixed(1));
  return (
    <section class="card" aria-label="Bounds">
      <h2>Correct the bounds</h2>
      <Form
        submit="Save the bounds"
        onSubmit={async () => {
          await giveFeedback(highlight.id, { correction: { start: Number(start), end: Number(end) }, note: "" });
          toast("Saved. While the stream runs, a new clip is rendered.");
          onChange();
        }}
      >
        <div class="columns">
          <TextField label="Start (s)" type="number" required min="0" step={STEP_S} value={start} onValue={setStart} />
          <TextField label="End (s)" type="number" required min="0" step={STEP_S} value={end} onValue={setEnd} />
        </div>
      </Form>
    </section>
  );
}
