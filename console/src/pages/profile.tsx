// The editor of a game profile: live validation, regions of the screen, and a try on a stored stream.
import { useRoute } from "preact-iso/router";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, unwrap, type Schemas } from "../api/client";
import { useLoad } from "../api/load";
import { ActionButton } from "../components/action";
import { SelectField, TextField } from "../components/form";
import { clock, moment, words } from "../components/format";
import { Badge, Empty, Facts, LoadState, Loading, Page, ProblemNote, type Tone } from "../components/page";
import { isPatch, valueIn, withValue, type Patch } from "../components/patch";
import { RegionEditor, type Regions } from "../components/regions";
import { Table } from "../components/table";
import { Tabs } from "../components/tabs";

type Override = Schemas["ProfileOverrideDetail"];
type Profile = Schemas["GameProfile"];
type Change = Schemas["PreviewChange"];

const TYPING_MS = 400;
const CHANGE_TONES: Record<Change, Tone> = { kept: "neutral", added: "good", removed: "bad" };
const NUMBERS: readonly { title: string; fields: readonly (readonly [path: string, label: string])[] }[] = [
  {
    title: "Scores that count",
    fields: [
      ["thresholds.exceptional", "Exceptional from"],
      ["thresholds.high_quality", "High quality from"],
      ["thresholds.standard", "Standard from"],
    ],
  },
  {
    title: "How many",
    fields: [
      ["selection.per_window", "Highlights in a window"],
      ["selection.window", "Window (s)"],
      ["selection.per_hour", "Highlights in an hour"],
      ["selection.min_spacing", "Spacing (s)"],
      ["selection.exceptional_per_window", "Exceptional beyond that"],
    ],
  },
  {
    title: "Clips",
    fields: [
      ["clip.pre_roll", "Before the moment (s)"],
      ["clip.post_roll", "After the moment (s)"],
      ["clip.min_length", "Shortest (s)"],
      ["clip.max_length", "Longest (s)"],
    ],
  },
];

export default function ProfilePage() {
  const id = useRoute().params["id"] ?? "";
  const stored = useLoad((signal) => loadOverride(id, signal), [id]);
  return (
    <>
      <LoadState data={stored.data} error={stored.error} reload={stored.reload} />
      {stored.data && (
        <Editor key={`${id} ${stored.data.override?.revision}`} id={id} override={stored.data.override} onStored={stored.reload} />
      )}
    </>
  );
}

/** Return the override of a profile; null if there is none. */
async function loadOverride(id: string, signal: AbortSignal): Promise<{ override: Override | null }> {
  try {
    const path = { profile_id: id };
    return { override: await unwrap(api.GET("/v1/profiles/{profile_id}/override", { params: { path }, signal })) };
  } catch (error) {
    if (error instanceof ApiError && error.problem.code === "override_not_found") return { override: null };
    throw error;
  }
}

function Editor({ id, override, onStored }: { id: string; override: Override | null; onStored: () => void }) {
  const [patch, setPatch] = useState<Patch>(override?.patch ?? {});
  const path = { profile_id: id };
  const etag = override ? `"${override.revision}"` : undefined;
  const { profile, error } = usePreview(id, patch);
  const set = (keys: readonly string[], value: unknown) => setPatch((before) => withValue(before, keys, value));
  const isChanged = JSON.stringify(patch) !== JSON.stringify(override?.patch ?? {});
  return (
    <Page
      title={profile?.name ?? id}
      lead={profile?.description}
      actions={
        <>
          {override && (
            <ActionButton
              confirm="New streams use the shipped rules again. The history is kept."
              done="Override removed"
              onAction={async () => {
                await unwrap(
                  api.DELETE("/v1/profiles/{profile_id}/override", {
                    params: { path, header: { "If-Match": etag } },
                  }),
                );
                onStored();
              }}
            >
              Remove the override
            </ActionButton>
          )}
          <button type="button" disabled={!isChanged} onClick={() => setPatch(override?.patch ?? {})}>
            Discard changes
          </button>
          <ActionButton
            done="Saved: it applies to streams that start from now on"
            onAction={async () => {
              await unwrap(
                api.PUT("/v1/profiles/{profile_id}/override", {
                  params: { path, header: { "If-Match": etag } },
                  body: patch,
                }),
              );
              onStored();
            }}
          >
            Save
          </ActionButton>
        </>
      }
    >
      <div aria-live="polite">
        {error ? (
          <ProblemNote error={error} />
        ) : (
          <p class="quiet">{isChanged ? "Valid, not saved." : "As stored."}</p>
        )}
      </div>
      {override?.problems.map((each) => (
        <p class="problem" key={each}>
          The stored override is not applied: {each}
        </p>
      ))}
      {!profile && !error && <Loading />}
      {profile && (
        <Tabs
          label="Parts of the profile"
          tabs={[
            { name: "Rules", content: () => <Rules profile={profile} patch={patch} onSet={set} /> },
            {
              name: "Screen regions",
              content: () => (
                <RegionEditor
                  profile={id}
                  regions={profile.hud.regions ?? {}}
                  onChange={(after) => set(["hud", "regions"], regionPatch(profile.hud.regions ?? {}, after, patch))}
                />
              ),
            },
            { name: "Try on a stream", content: () => <Trial id={id} patch={patch} /> },
            { name: "JSON", content: () => <JsonEditor patch={patch} onPatch={setPatch} profile={profile} /> },
            { name: "History", content: () => <History id={id} /> },
          ]}
        />
      )}
    </Page>
  );
}

/** The profile as the patch makes it, checked while it is edited; the last valid one stays. */
function usePreview(id: string, patch: Patch): { profile: Profile | undefined; error: ApiError | undefined } {
  const [profile, setProfile] = useState<Profile>();
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    const controller = new AbortController();
    const timer = window.setTimeout(async () => {
      try {
        const found = await preview(id, patch, null, controller.signal);
        setProfile(found.profile);
        setError(undefined);
      } catch (problem) {
        if (controller.signal.aborted) return;
        if (!(problem instanceof ApiError)) throw problem;
        setError(problem);
      }
    }, profile ? TYPING_MS : 0);
    return () => {
      controller.abort();
      window.clearTimeout(timer);
    };
  }, [id, patch]);
  return { profile, error };
}

function preview(id: string, patch: Patch, stream: string | null, signal?: AbortSignal) {
  return unwrap(
    api.POST("/v1/profiles/{profile_id}/override/preview", {
      params: { path: { profile_id: id } },
      body: { patch: Object.keys(patch).length > 0 ? patch : null, stream_id: stream },
      signal,
    }),
  );
}

/** Return what a patch says of the regions: those of `after`, and null for those that are gone. */
function regionPatch(before: Regions, after: Regions, patch: Patch): Patch {
  const said = valueIn(patch, ["hud", "regions"]);
  const gone = Object.keys({ ...before, ...(isPatch(said) ? said : {}) }).filter((name) => !(name in after));
  return { ...after, ...Object.fromEntries(gone.map((name) => [name, null])) };
}

function Rules(props: {
  profile: Profile;
  patch: Patch;
  onSet: (path: readonly string[], value: unknown) => void;
}) {
  const weights = Object.entries(props.profile.weights ?? {}) as [string, number][];
  const edited = weights.map(([name, value]) => Number(valueIn(props.patch, ["weights", name]) ?? value));
  const sum = edited.reduce((total, each) => total + each, 0);
  function numberField(path: readonly string[], label: string, value: unknown) {
    const own = valueIn(props.patch, path);
    return (
      <TextField
        key={path.join(".")}
        label={label}
        type="number"
        step="any"
        value={String(own ?? value)}
        hint={own === undefined ? undefined : "Changed"}
        onValue={(text) => props.onSet(path, text === "" ? undefined : Number(text))}
      />
    );
  }
  return (
    <div class="columns">
      <fieldset>
        <legend>Weights, which sum to 1</legend>
        {weights.map(([name, value]) => numberField(["weights", name], words(name), value))}
        <p>
          Sum: <strong>{sum.toFixed(3)}</strong>{" "}
          <button
            type="button"
            disabled={Math.abs(sum - 1) < 1e-6 || sum <= 0}
            onClick={() =>
              props.onSet(
                ["weights"],
                scaled(weights.map(([name], index) => [name, edited[index] ?? 0])),
              )
            }
          >
            Scale to 1
          </button>
        </p>
      </fieldset>
      {NUMBERS.map(({ title, fields }) => (
        <fieldset key={title}>
          <legend>{title}</legend>
          {fields.map(([name, label]) => {
            const path = name.split(".");
            return numberField(path, label, valueIn(props.profile as unknown as Patch, path));
          })}
        </fieldset>
      ))}
    </div>
  );
}

/** Return weights in the same proportions that sum to 1, in thousandths. */
function scaled(weights: readonly [name: string, value: number][]): Record<string, number> {
  const sum = weights.reduce((total, [, value]) => total + value, 0);
  const shares = weights.map(([name, value]): [string, number] => [name, Math.round((1000 * value) / sum)]);
  const largest = shares.reduce((best, each) => (each[1] > best[1] ? each : best));
  largest[1] += 1000 - shares.reduce((total, [, value]) => total + value, 0);
  return Object.fromEntries(shares.map(([name, value]) => [name, value / 1000]));
}

function JsonEditor(props: { patch: Patch; onPatch: (patch: Patch) => void; profile: Profile }) {
  const [text, setText] = useState(() => JSON.stringify(props.patch, null, 2));
  const [mistake, setMistake] = useState<string>();
  function change(next: string) {
    setText(next);
    try {
      const parsed: unknown = JSON.parse(next);
      if (!isPatch(parsed)) throw new SyntaxError("an override is an object");
      setMistake(undefined);
      props.onPatch(parsed);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      setMistake(error.message);
    }
  }
  return (
    <div class="columns">
      <div class="field">
        <label for="override">Override, as a JSON merge patch</label>
        <textarea
          id="override"
          rows={20}
          spellcheck={false}
          value={text}
          aria-invalid={mistake !== undefined}
          aria-describedby="override-mistake"
          onInput={(event) => change(event.currentTarget.value)}
        />
        <p class="hint" id="override-mistake">
          {mistake ?? "Objects are merged by key, lists are replaced, and null removes an entry."}
        </p>
      </div>
      <div>
        <h2>The profile with it</h2>
        <pre role="region" tabIndex={0} aria-label="The profile with the override">
          {JSON.stringify(props.profile, null, 2)}
        </pre>
      </div>
    </div>
  );
}

function Trial({ id, patch }: { id: string; patch: Patch }) {
  const [chosen, setChosen] = useState("");
  const [result, setResult] = useState<Schemas["StreamPreview"]>();
  const { data, error, reload } = useLoad(
    (signal) => unwrap(api.GET("/v1/streams", { params: { query: { limit: 50 } }, signal })),
    [],
  );
  if (error) return <ProblemNote error={error} onRetry={reload} />;
  if (!data) return <Loading />;
  const streams = [...data.data].sort(
    (one, other) => Number(other.profile.id === id) - Number(one.profile.id === id),
  );
  const stream = chosen || streams[0]?.id;
  if (!stream) return <Empty title="There is no stream to try it on yet" />;
  return (
    <>
      <p>
        Decides on the stream's recorded candidates again, by the rules as edited. Nothing is stored. What changes the
        analysis itself (regions, signals, prompt) shows in the next stream only.
      </p>
      <SelectField
        label="Stream"
        value={stream}
        onValue={setChosen}
        options={streams.map((each) => [each.id, `${each.title || each.game} (${each.profile.id}, ${each.status})`])}
      />
      <ActionButton onAction={async () => setResult((await preview(id, patch, stream)).stream ?? undefined)}>
        Try
      </ActionButton>
      {result && (
        <section aria-live="polite">
          <Facts
            facts={[
              ["Candidates", result.candidates],
              ["Highlights before", result.highlights_before],
              ["Highlights after", result.highlights_after],
            ]}
          />
          <Table
            caption="Highlights before and after"
            rows={result.highlights}
            rowKey={(row) => row.highlight_id}
            columns={[
              { name: "Change", cell: (row) => <Badge tone={CHANGE_TONES[row.change]}>{row.change}</Badge> },
              { name: "At", isNumber: true, cell: (row) => clock(row.peak) },
              {
                name: "Highlight",
                cell: (row) => <a href={`/console/highlights/${row.highlight_id}`}>{row.title || "Untitled"}</a>,
              },
              { name: "Score", isNumber: true, cell: (row) => `${row.score.toFixed(2)} → ${row.new_score.toFixed(2)}` },
              { name: "Tier", cell: (row) => words(row.new_tier) },
              { name: "Why", cell: (row) => row.new_reasons.at(-1)?.words ?? "–" },
            ]}
          />
        </section>
      )}
    </>
  );
}

function History({ id }: { id: string }) {
  const { data, error, reload } = useLoad(
    (signal) =>
      unwrap(
        api.GET("/v1/profiles/{profile_id}/override/history", {
          params: { path: { profile_id: id }, query: { limit: 50 } },
          signal,
        }),
      ),
    [id],
  );
  if (error?.problem.code === "override_not_found") return <Empty title="This profile was never overridden" />;
  if (error) return <ProblemNote error={error} onRetry={reload} />;
  if (!data) return <Loading />;
  return (
    <Table
      caption="Revisions, newest first"
      rows={data.data}
      rowKey={(row) => String(row.revision)}
      columns={[
        { name: "Revision", isNumber: true, cell: (row) => row.revision },
        { name: "At", cell: (row) => moment(row.created_at) },
        {
          name: "Override",
          cell: (row) =>
            Object.keys(row.patch).length === 0 ? "removed" : <code>{JSON.stringify(row.patch)}</code>,
        },
      ]}
    />
  );
}
