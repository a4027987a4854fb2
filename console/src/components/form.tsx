// Form fields with labels, hints and errors, and a form that shows the API's problems.
import type { ComponentChildren, InputHTMLAttributes } from "preact";
import { useId, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { ProblemNote } from "./page";

/** A form that runs `onSubmit`, is disabled meanwhile, and shows the problem if it fails. */
export function Form(props: {
  onSubmit: () => Promise<void>;
  submit: string;
  cancel?: ComponentChildren;
  children: ComponentChildren;
}) {
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await props.onSubmit();
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setError(problem);
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={submit}>
      {props.children}
      {error && <ProblemNote error={error} />}
      <div class="actions">
        <button type="submit" class="primary" disabled={isBusy}>
          {isBusy ? "Working…" : props.submit}
        </button>
        {props.cancel}
      </div>
    </form>
  );
}

interface Labelled {
  label: string;
  hint?: ComponentChildren;
}

export function TextField({
  label,
  hint,
  value,
  onValue,
  ...rest
}: Labelled & {
  value: string;
  onValue: (value: string) => void;
  type?: "text" | "password" | "number" | "url" | "datetime-local" | "color";
} & Pick<
    InputHTMLAttributes<HTMLInputElement>,
    "autocomplete" | "required" | "placeholder" | "pattern" | "min" | "max" | "step" | "disabled"
  >) {
  const id = useId();
  return (
    <Field id={id} label={label} hint={hint}>
      <input
        // Preact's types tie attributes to one type of input each; this field has several.
        {...(rest as object)}
        id={id}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </Field>
  );
}

export function SelectField<Value extends string>(
  props: Labelled & {
    value: Value;
    onValue: (value: Value) => void;
    options: readonly (readonly [value: Value, text: string])[];
  },
) {
  const id = useId();
  return (
    <Field id={id} label={props.label} hint={props.hint}>
      <select
        id={id}
        value={props.value}
        onChange={(event) => props.onValue(event.currentTarget.value as Value)}
      >
        {props.options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </Field>
  );
}

export function CheckField(props: {
  label: string;
  checked: boolean;
  onValue: (value: boolean) => void;
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.checked}
        onChange={(event) => props.onValue(event.currentTarget.checked)}
      />
      {props.label}
    </label>
  );
}

function Field(props: { id: string; label: string; hint?: ComponentChildren; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      {props.children}
      {props.hint && (
        <p class="hint" id={`${props.id}-hint`}>
          {props.hint}
        </p>
      )}
    </div>
  );
}
