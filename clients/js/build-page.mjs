/** Builds the page into server/voxwire_server/page/assets (or the folder named as the first argument), byte for byte the same each time. */

import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, "../../server/voxwire_server/page/assets"));
const page = join(here, "page");

/** Packages whose code is inside what is built. */
const BUNDLED = ["@msgpack/msgpack", "opus-decoder", "@wasm-audio-decoders/common", "@eshaz/web-worker", "simple-yenc"];

await mkdir(out, { recursive: true });
for (const name of await readdir(out)) await rm(join(out, name), { recursive: true });

const shared = {
  absWorkingDir: here,
  bundle: true,
  charset: "utf8",
  format: "esm",
  legalComments: "none",
  logLevel: "warning",
  minify: true,
  outdir: out,
  target: ["chrome94", "firefox101", "safari15.4"],
};
await build({
  ...shared,
  entryPoints: { page: join(page, "main.ts") },
  splitting: true,
  chunkNames: "[name]",
  platform: "browser",
});
await build({ ...shared, entryPoints: { page: join(page, "page.css") } });
await build({ ...shared, format: "iife", entryPoints: { "theme-early": join(page, "theme-early.ts") } });
await build({ ...shared, entryPoints: { worklet: join(here, "src/playback/worklet.ts") } });
for (const name of ["index.html", "icon.svg"]) await copyFile(join(page, name), join(out, name));
await writeFile(join(out, "licences.txt"), await licences());

async function licences() {
  const texts = ["voxwire is licensed under the Apache License 2.0. The page's files hold code of these packages:\n"];
  for (const name of BUNDLED) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? "" : (await readFile(join(folder, file), "utf8")).trim();
    texts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  texts.push(await readFile(join(page, "licences-more.txt"), "utf8"));
  return texts.join("\n----\n\n");
}
