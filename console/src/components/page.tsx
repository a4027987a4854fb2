// Frame of a page: its title, and what is shown while there is nothing to show.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { ApiError } from "../api/client";
import type { Loaded } from "../api/load";

export function Page(props: {
  title: string;
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${props.title} · Highlights`;
  }, [props.title]);
  return (
    <div class="page">
      <div class="page-head">
        <div>
          <h1>{props.title}</h1>
          {props.lead && <p class="lead">{props.lead}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </div>
      {props.children}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      Loading…
    </p>
  );
}

/** A problem document of the API: what is wrong, what to do, and the request to ask support about. */
export function ProblemNote({ error, onRetry }: { error: ApiError; onRetry?: () => void }) {
  const { title, detail, code, request_id, errors } = error.problem;
  return (
    <div class="problem" role="alert">
      <p class="problem-title">{title}</p>
      {detail && <p>{detail}</p>}
      {errors && (
        <ul>
          {errors.map((each) => (
            <li key={`${each.pointer ?? each.parameter}`}>
              <code>{each.pointer ?? each.parameter}</code> {each.detail}
            </li>
          ))}
        </ul>
      )}
      <p class="quiet">
        <a href={`/errors#${code}`} target="_blank" rel="noreferrer">
          {code}
        </a>
        {request_id && <> · request {request_id}</>}
      </p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What is shown of a `useLoad` before there is data, and of its last failure. */
export function LoadState({ data, error, reload }: Pick<Loaded<unknown>, "data" | "error" | "reload">) {
  if (error) return <ProblemNote error={error} onRetry={reload} />;
  return data ? null : <Loading />;
}

export type Tone = "neutral" | "good" | "warning" | "bad" | "live";

export function Badge({ tone = "neutral", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** Facts about a thing, as names with values. */
export function Facts({ facts }: { facts: [name: string, value: ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
