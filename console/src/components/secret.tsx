// A secret that the API shows once.
import { useId } from "preact/hooks";
import { useToast } from "./toast";

export function Secret({ name, value }: { name: string; value: string }) {
  const toast = useToast();
  const id = useId();
  async function copy() {
    await navigator.clipboard.writeText(value);
    toast(`${name} copied`);
  }
  return (
    <div class="field">
      <label for={id}>{name}</label>
      <div class="secret">
        <input id={id} readOnly value={value} onFocus={(event) => event.currentTarget.select()} />
        <button type="button" onClick={() => void copy()}>
          Copy
        </button>
      </div>
      <p class="hint">Store it now: it is not shown again.</p>
    </div>
  );
}
