// A reel: the best clips of one or more streams that fit into so many seconds, as one film.
import { useLocation } from "preact-iso/router";
import { useState } from "preact/hooks";
import { api, idempotencyKey, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ExportTable } from "../components/export-list";
import { CheckField, Form, SelectField, TextField } from "../components/form";
import { Empty, LoadState, Page } from "../components/page";
import { RenditionFields, renditionsOf, type Rendition } from "../components/renditions";

type Transition = Schemas["TransitionKind"];

const POLL_MS = 3000;
const MOVIES: readonly Rendition["format"][] = ["mp4", "webm", "hls"];

export default function Reels() {
  const { query, route } = useLocation();
  const [streams, setStreams] = useState<ReadonlySet<string>>(new Set(query["stream"] ? [query["stream"]] : []));
  const [seconds, setSeconds] = useState("60");
  const [order, setOrder] = useState<Schemas["ReelOrder"]>("time");
  const [transition, setTransition] = useState<Transition>("cut");
  const [text, setText] = useState("");
  const [tags, setTags] = useState("");
  const [minScore, setMinScore] = useState("");
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(["youtube"]));
  const [retryKey, setRetryKey] = useState(idempotencyKey);
  const found = useLoad(
    (signal) => unwrap(api.GET("/v1/streams", { params: { query: { limit: 50 } }, signal })),
    [],
  );
  const made = useLoad(
    (signal) => unwrap(api.GET("/v1/exports", { params: { query: { limit: 100 } }, signal })),
    [],
    POLL_MS,
  );
  const reels = made.data?.data.filter(({ source }) => (source.chapters?.length ?? 0) > 0) ?? [];
  const error = found.error ?? made.error;

  async function create() {
    const reel = await unwrap(
      api.POST("/v1/exports", {
        params: { header: { "Idempotency-Key": retryKey } },
        body: {
          source: {
            exact: true,
            reel: {
              stream_ids: [...streams],
              seconds: Number(seconds),
              order,
              transition: { kind: transition, duration: transition === "cut" ? 0 : 0.5 },
              tags: tags.split(",").map((each) => each.trim()).filter(Boolean),
              text: text.trim() || null,
              min_score: minScore ? Number(minScore) : null,
              highlight_ids: [],
            },
          },
          renditions: renditionsOf(chosen),
          branding: "default",
        },
      }),
    );
    setRetryKey(idempotencyKey());
    route(`/console/exports/${reel.id}`);
  }

  function toggle(id: string, isChosen: boolean) {
    const next = new Set(streams);
    if (isChosen) next.add(id);
    else next.delete(id);
    setStreams(next);
  }

  return (
    <Page title="Reels" lead="The best clips that fit into so many seconds; no two show the same seconds.">
      <LoadState data={found.data} error={error} reload={found.reload} />
      {found.data?.data.length === 0 && <Empty title="No stream yet: a reel is made of the clips of streams" />}
      {found.data && found.data.data.length > 0 && (
        <section class="card">
          <h2>New reel</h2>
          <Form submit="Make the reel" onSubmit={create}>
            <fieldset>
              <legend>Streams</legend>
              <div class="choices">
                {found.data.data.map((stream) => (
                  <CheckField
                    key={stream.id}
                    label={stream.title || stream.game}
                    checked={streams.has(stream.id)}
                    onValue={(isChosen) => toggle(stream.id, isChosen)}
                  />
                ))}
              </div>
            </fieldset>
            <TextField label="Length in seconds" type="number" min="5" required value={seconds} onValue={setSeconds} />
            <SelectField
              label="Order"
              value={order}
              onValue={setOrder}
              options={[
                ["time", "As they happened"],
                ["score", "The best first"],
              ]}
            />
            <SelectField
              label="Between clips"
              value={transition}
              onValue={setTransition}
              options={[
                ["cut", "Cut"],
                ["fade", "Fade through black"],
                ["dissolve", "Dissolve"],
              ]}
            />
            <TextField label="Only with the words" value={text} onValue={setText} hint="Such as the name of a player." />
            <TextField label="Only with one of the tags" value={tags} onValue={setTags} hint="Separated by commas." />
            <TextField label="Lowest score" type="number" min="0" max="1" step="0.01" value={minScore} onValue={setMinScore} />
            <RenditionFields chosen={chosen} onChosen={setChosen} only={({ format }) => MOVIES.includes(format)} />
          </Form>
        </section>
      )}
      {reels.length > 0 && (
        <section>
          <h2>Reels</h2>
          <ExportTable caption="Reels, newest first" exports={reels} onChange={made.reload} />
        </section>
      )}
    </Page>
  );
}
