// Short messages after an action, announced to screen readers.
import { createContext, type ComponentChildren } from "preact";
import { useCallback, useContext, useState } from "preact/hooks";

type Kind = "done" | "failed";
type Show = (text: string, kind?: Kind) => void;

const Context = createContext<Show>(() => {});
const SHOWN_MS = 6000;

export function ToastProvider({ children }: { children: ComponentChildren }) {
  const [toasts, setToasts] = useState<{ id: number; text: string; kind: Kind }[]>([]);
  const show = useCallback<Show>((text, kind = "done") => {
    const id = performance.now();
    setToasts((before) => [...before, { id, text, kind }]);
    window.setTimeout(() => setToasts((before) => before.filter((each) => each.id !== id)), SHOWN_MS);
  }, []);
  return (
    <Context.Provider value={show}>
      {children}
      <div class="toasts" role="status" aria-live="polite">
        {toasts.map((each) => (
          <p key={each.id} class={`toast ${each.kind}`}>
            {each.text}
          </p>
        ))}
      </div>
    </Context.Provider>
  );
}

export function useToast(): Show {
  return useContext(Context);
}
