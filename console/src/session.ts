// Who is signed in: an API key in this tab's session storage, gone when the tab is closed.
import { useEffect, useState } from "preact/hooks";

const STORAGE_KEY = "highlights-key";
const CHANGED = "session-changed";
const changes = new EventTarget();

export function currentKey(): string | null {
  return sessionStorage.getItem(STORAGE_KEY);
}

export function signIn(key: string): void {
  sessionStorage.setItem(STORAGE_KEY, key);
  changes.dispatchEvent(new Event(CHANGED));
}

export function signOut(): void {
  sessionStorage.clear();
  changes.dispatchEvent(new Event(CHANGED));
}

export function useKey(): string | null {
  const [key, setKey] = useState(currentKey);
  useEffect(() => {
    const update = () => setKey(currentKey());
    changes.addEventListener(CHANGED, update);
    return () => changes.removeEventListener(CHANGED, update);
  }, []);
  return key;
}
