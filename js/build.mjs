// Bundles the front end into ../holysheep_nb/static/; with --tests, the tests into build/ for node --test.
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as esbuild from "esbuild";

const OUT = "../holysheep_nb/static";
const shared = { bundle: true, format: "esm", target: "es2022", legalComments: "none", logLevel: "warning" };

const front = {
  ...shared,
  entryPoints: [
    { in: "src/widget.ts", out: "widget" },
    { in: "src/style/widget.css", out: "widget" },
  ],
  outdir: OUT,
  minify: true,
};

async function testFiles(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((e) => e.name.endsWith(".test.ts")).map((e) => join(e.parentPath ?? e.path, e.name));
}

if (process.argv.includes("--tests")) {
  await rm("build", { recursive: true, force: true });
  await esbuild.build({
    ...shared,
    entryPoints: await testFiles("test"),
    outbase: ".",
    outdir: "build",
    outExtension: { ".js": ".mjs" },
    platform: "node",
    packages: "external",
    sourcemap: "inline",
  });
} else if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...front, minify: false, sourcemap: "inline" });
  await context.watch();
} else {
  await mkdir(OUT, { recursive: true });
  await esbuild.build(front);
}
