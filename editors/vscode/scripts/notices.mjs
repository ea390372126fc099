/**
 * The licences of what is bundled, as dist/NOTICES.txt: of every package that esbuild's metafile names.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const extension = resolve(import.meta.dirname, "..");

/** The folder of the package that a bundled file is part of, undefined where that is ours. */
function packageOf(file) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
}

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(extension, folder, "package.json"), "utf8"));
  const file = readdirSync(join(extension, folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) {
    throw new Error(`${name} has no licence file: what it is bundled under has to be said`);
  }
  return `${name} ${version} (${license})\n\n${readFileSync(join(extension, folder, file), "utf8").trim()}\n`;
}

const { inputs } = JSON.parse(readFileSync(join(extension, "dist", "meta.json"), "utf8"));
const folders = [...new Set(Object.keys(inputs).map(packageOf))].filter((folder) => folder !== undefined);
writeFileSync(
  join(extension, "dist", "NOTICES.txt"),
  folders
    .sort()
    .map(notice)
    .join(`\n${"-".repeat(80)}\n\n`),
);
