// Sign in with an API key, or once with the link that `make demo KEEP=1` prints.
import { useEffect, useState } from "preact/hooks";
import { api, ApiError, unwrap } from "../api/client";
import { Form, TextField } from "../components/form";
import { Loading, ProblemNote } from "../components/page";
import { signIn } from "../session";

const SESSION_MS = 12 * 3600 * 1000;

export function SignIn() {
  const [link] = useState(takeLink);
  const [error, setError] = useState<ApiError>();
  const [key, setKey] = useState("");
  useEffect(() => {
    document.title = "Sign in · Highlights";
    if (link) exchange(link).catch((problem) => setError(expired(problem)));
  }, []);
  if (link && !error) return <Loading />;
  return (
    <main class="sign-in">
      <h1>Highlights</h1>
      {error && <ProblemNote error={error} />}
      <Form
        submit="Sign in"
        onSubmit={async () => {
          await unwrap(
            api.GET("/v1/streams", {
              params: { query: { limit: 1 } },
              headers: { Authorization: `Bearer ${key.trim()}` },
            }),
          );
          signIn(key.trim());
        }}
      >
        <TextField
          label="API key"
          type="password"
          autocomplete="off"
          required
          value={key}
          onValue={setKey}
          hint="It stays in this tab until you sign out or close it. Use a key with the scopes of what you want to do."
        />
      </Form>
    </main>
  );
}

interface Link {
  id: string;
  key: string;
}

/** Return the sign-in link of the address, `#sign-in=<key id>:<key>`, and remove it from there. */
function takeLink(): Link | null {
  const [, id, key] = /^#sign-in=([0-9a-f-]{36}):(\w+)$/.exec(location.hash) ?? [];
  if (!id || !key) return null;
  history.replaceState(null, "", location.pathname);
  return { id, key };
}

/** Replace the link's key by one for this tab, which ends the link's key: it works once. */
async function exchange({ id, key }: Link): Promise<void> {
  const made = await unwrap(
    api.POST("/v1/keys/{key_id}/rotate", {
      params: { path: { key_id: id } },
      body: { overlap: 0, expires_at: new Date(Date.now() + SESSION_MS).toISOString() },
      headers: { Authorization: `Bearer ${key}` },
    }),
  );
  if (made.key) signIn(made.key);
}

function expired(problem: unknown): ApiError {
  if (!(problem instanceof ApiError)) throw problem;
  if (problem.problem.status !== 401 && problem.problem.status !== 409) return problem;
  return new ApiError({
    ...problem.problem,
    title: "This sign-in link was used before or has expired",
    detail: "A link works once. Sign in with an API key instead.",
  });
}
