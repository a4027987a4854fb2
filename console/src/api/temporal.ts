// Where the workflows of a stream are in the Temporal UI, if the operator says where that is.
import { useEffect, useState } from "preact/hooks";

/** Return the page of a stream's workflows in the Temporal UI; undefined if there is no UI. */
export function useWorkflows(stream: string): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    let isShown = true;
    async function read() {
      const response = await fetch("/console/settings.json");
      if (!response.ok) return;
      const { temporal_url } = (await response.json()) as { temporal_url: string | null };
      if (isShown && temporal_url) setUrl(temporal_url);
    }
    read().catch(() => {}); // the page works without the link
    return () => {
      isShown = false;
    };
  }, []);
  return url && `${url}/workflows?query=${encodeURIComponent(`StreamId="${stream}"`)}`;
}
