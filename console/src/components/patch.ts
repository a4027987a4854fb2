// JSON merge patches (RFC 7396) as the profile editor changes them.

export type Patch = Record<string, unknown>;

/** Return the patch with one value set; undefined removes it, and the objects that get empty. */
export function withValue(patch: Patch, path: readonly string[], value: unknown): Patch {
  const [key, ...rest] = path;
  if (key === undefined) return patch;
  const { [key]: before, ...others } = patch;
  const after = rest.length === 0 ? value : withValue(isPatch(before) ? before : {}, rest, value);
  if (after === undefined || (rest.length > 0 && isPatch(after) && Object.keys(after).length === 0)) return others;
  return { ...others, [key]: after };
}

/** Return the value that a patch sets, or undefined. */
export function valueIn(patch: Patch, path: readonly string[]): unknown {
  return path.reduce<unknown>((found, key) => (isPatch(found) ? found[key] : undefined), patch);
}

export function isPatch(value: unknown): value is Patch {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
