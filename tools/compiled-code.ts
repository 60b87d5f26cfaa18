import { fileURLToPath } from "node:url";

/**
 * Where Node keeps the code that it has compiled and freed of types (NODE_COMPILE_CACHE): one folder for all shops and
 * tests of this checkout, so that a shop with a new folder for its data starts in half the time.
 */
export const compiledCodeFolder = fileURLToPath(new URL("../node_modules/.cache/compiled-code", import.meta.url));
