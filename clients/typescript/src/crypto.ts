/** WebCrypto. Node.js 18 has it in a module only, whose name bundlers for browsers must not see. */
export const crypto: Crypto =
  globalThis.crypto ?? ((await import(/* @vite-ignore */ ["node", "crypto"].join(":"))) as { webcrypto: Crypto }).webcrypto;
