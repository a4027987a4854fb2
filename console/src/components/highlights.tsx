// What the pages share about highlights: their states, and the channels of their evidence.
import type { Schemas } from "../api/client";
import { Badge, type Tone } from "./page";
import { words } from "./format";

export type Highlight = Schemas["Highlight"];
export type Evidence = Highlight["evidence"][number];

const TONES: Record<Highlight["status"], Tone> = {
  confirmed: "good",
  pending: "live",
  held: "warning",
  retracted: "bad",
  rejected: "neutral",
};

export const STATUSES = Object.keys(TONES) as Highlight["status"][];

export function StatusBadge({ status }: { status: Highlight["status"] }) {
  return <Badge tone={TONES[status]}>{status}</Badge>;
}

const SIGNALS: [channel: string, signals: RegExp][] = [
  ["Sound", /^(crowd|voice|steady|unanswered|gradual|brief|tonal|advert|hush|loud|sound|audio)/],
  ["Motion", /^(motion|cut|flash|picture|scene)/],
  ["Screen text", /^screen/],
  ["Captions", /^(commentary|captions)/],
  ["Marks", /^mark/],
  ["Feed", /^feed/],
  ["Gemini", /^(gemini|local)/],
];
const OTHER = "Other";
export const CHANNELS = [...SIGNALS.map(([channel]) => channel), OTHER];

/** Return the channel of a signal. A mark that came with the tenant's feed is one of the feed. */
export function channelOf(highlight: Highlight, signal: string): string {
  if (signal === "mark" && highlight.reasons.some(({ code }) => code === "feed")) return "Feed";
  return SIGNALS.find(([, signals]) => signals.test(signal))?.[0] ?? OTHER;
}

export function ReasonList({ highlight }: { highlight: Highlight }) {
  return (
    <ul class="reasons">
      {highlight.reasons.map(({ code, words: text }) => (
        <li key={code + text}>
          <span class="reason-code">{words(code)}</span> {text}
        </li>
      ))}
    </ul>
  );
}

export function EvidenceList({ highlight }: { highlight: Highlight }) {
  if (highlight.evidence.length === 0) return <p class="quiet">No signal stood out.</p>;
  return (
    <ul class="evidence">
      {highlight.evidence.map(({ signal, strength, words: text }) => (
        <li key={signal}>
          <span class="reason-code">{channelOf(highlight, signal)}</span> {text}{" "}
          <span class="quiet">({strength.toFixed(1)})</span>
        </li>
      ))}
    </ul>
  );
}
