// A button that calls the API: busy meanwhile, and a toast for what came of it.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { Dialog } from "./dialog";
import { useToast } from "./toast";

export function ActionButton(props: {
  onAction: () => Promise<void>;
  done?: string;
  /** What to ask before; the button opens a dialog then. */
  confirm?: string;
  label?: string;
  children: ComponentChildren;
}) {
  const toast = useToast();
  const [isBusy, setBusy] = useState(false);
  const [isAsking, setAsking] = useState(false);
  async function run() {
    setAsking(false);
    setBusy(true);
    try {
      await props.onAction();
      if (props.done) toast(props.done);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(`${error.problem.title}. ${error.problem.detail}`, "failed");
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <button
        type="button"
        aria-label={props.label}
        disabled={isBusy}
        onClick={() => (props.confirm ? setAsking(true) : void run())}
      >
        {isBusy ? "Working…" : props.children}
      </button>
      {isAsking && (
        <Dialog title="Are you sure?" onClose={() => setAsking(false)}>
          <p>{props.confirm}</p>
          <div class="actions">
            <button type="button" class="primary" onClick={() => void run()}>
              {props.children}
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              Cancel
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
