// The shell of the console: sign-in, navigation, and one lazily loaded page per path.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import lazy, { ErrorBoundary } from "preact-iso/lazy";
import { LocationProvider, Route, Router, useLocation } from "preact-iso/router";
import { ToastProvider } from "./components/toast";
import { SignIn } from "./pages/sign-in";
import { signOut, useKey } from "./session";

// One entry per page: add a page here, and its module under `pages/`.
const PAGES = [
  { path: "/console", label: "Streams", menu: true, page: lazy(() => import("./pages/streams")) },
  { path: "/console/streams/:id", label: "Stream", menu: false, page: lazy(() => import("./pages/stream")) },
  { path: "/console/highlights/:id", label: "Highlight", menu: false, page: lazy(() => import("./pages/highlight")) },
  { path: "/console/exports", label: "Exports", menu: true, page: lazy(() => import("./pages/exports")) },
  { path: "/console/exports/new", label: "New export", menu: false, page: lazy(() => import("./pages/new-export")) },
  { path: "/console/exports/:id", label: "Export", menu: false, page: lazy(() => import("./pages/export")) },
  { path: "/console/reels", label: "Reels", menu: true, page: lazy(() => import("./pages/reels")) },
  { path: "/console/streams/:id/feed", label: "Feed", menu: false, page: lazy(() => import("./pages/feed")) },
  { path: "/console/profiles", label: "Game profiles", menu: true, page: lazy(() => import("./pages/profiles")) },
  { path: "/console/profiles/:id", label: "Profile", menu: false, page: lazy(() => import("./pages/profile")) },
  { path: "/console/usage", label: "Usage", menu: true, page: lazy(() => import("./pages/usage")) },
  { path: "/console/webhooks", label: "Webhooks", menu: true, page: lazy(() => import("./pages/webhooks")) },
  { path: "/console/webhooks/:id", label: "Webhook", menu: false, page: lazy(() => import("./pages/webhook")) },
  { path: "/console/connections", label: "Connections", menu: true, page: lazy(() => import("./pages/connections")) },
  { path: "/console/connections/:id", label: "Connection", menu: false, page: lazy(() => import("./pages/connection")) },
  { path: "/console/keys", label: "Keys", menu: true, page: lazy(() => import("./pages/keys")) },
];
const NotFound = lazy(() => import("./pages/not-found"));

export function App() {
  const key = useKey();
  return (
    <ToastProvider>
      {key === null ? (
        <SignIn />
      ) : (
        <LocationProvider scope="/console">
          <Shell>
            <ErrorBoundary>
              <Router>
                {PAGES.map(({ path, page }) => (
                  <Route key={path} path={path} component={page} />
                ))}
                <Route default component={NotFound} />
              </Router>
            </ErrorBoundary>
          </Shell>
        </LocationProvider>
      )}
    </ToastProvider>
  );
}

function Shell({ children }: { children: ComponentChildren }) {
  const { path } = useLocation();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path]);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="bar">
        <button
          class="menu-button"
          type="button"
          aria-expanded={isOpen}
          aria-controls="menu"
          onClick={() => setOpen(!isOpen)}
        >
          Menu
        </button>
        <a class="brand" href="/console">
          Highlights
        </a>
        <span class="grow" />
        <ThemeButton />
        <button type="button" onClick={signOut}>
          Sign out
        </button>
      </header>
      <nav id="menu" class={isOpen ? "menu open" : "menu"} aria-label="Pages">
        {PAGES.filter(({ menu }) => menu).map(({ path: target, label }) => (
          <a key={target} href={target} aria-current={target === path ? "page" : undefined}>
            {label}
          </a>
        ))}
        <a href="/docs" target="_blank" rel="noreferrer">
          API reference
        </a>
      </nav>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

const THEME_KEY = "highlights-theme";

function ThemeButton() {
  const [theme, setTheme] = useState(() => localStorage.getItem(THEME_KEY) ?? preferredTheme());
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
  }, [theme]);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      onClick={() => {
        localStorage.setItem(THEME_KEY, other);
        setTheme(other);
      }}
    >
      {other === "dark" ? "Dark" : "Light"}
    </button>
  );
}

function preferredTheme(): "dark" | "light" {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
