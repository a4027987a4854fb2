/** The snippets of README.md run. `test_typescript_client.py` writes each to a file of its own. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "node:test";

const run = promisify(execFile);

/** What each snippet prints. */
const PRINTED = [/^$/, /^Crowd roar http.+\n/, /^no such stream\n$/, /^$/];

for (const [number, printed] of PRINTED.entries()) {
  test(`snippet ${number} of the README runs`, async () => {
    const path = fileURLToPath(new URL(`readme${number}.js`, import.meta.url));
    const { stdout } = await run(process.execPath, [path]);
    assert.match(stdout, printed);
  });
}

test("each snippet has its expectation", () => {
  assert.equal(Number(process.env["README_SNIPPETS"]), PRINTED.length);
});
