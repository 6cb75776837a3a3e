// Bundles the front end into ../holysheep_nb/static/; with --tests, the tests into build/ for node --test.
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const OUT = "../holysheep_nb/static";
/** What a kernel sends once to each page, gzipped. */
const MAX_GZIPPED_BYTES = 120 * 1024;

async function filesIn(folder, ending) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const found = entries.filter((e) => e.isFile() && e.name.endsWith(ending));
  return found.map((e) => join(e.parentPath ?? e.path, e.name)).sort();
}

/** Tells the builds of a page apart: the hash of everything that goes into one. */
async function buildId() {
  const hash = createHash("sha256");
  for (const file of ["package-lock.json", ...(await filesIn("src", ""))]) hash.update(await readFile(file));
  return hash.digest("hex").slice(0, 16);
}

/** A style sheet imported by a script is its text, bundled and minified. */
const styleAsText = {
  name: "style-as-text",
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { outputFiles } = await esbuild.build({
        entryPoints: [path],
        bundle: true,
        minify: true,
        write: false,
      });
      return { contents: outputFiles[0].text, loader: "text", watchFiles: [path] };
    });
  },
};

/** Temml can look for formulas in a page by itself, which nothing here asks it to. */
const withoutAutoRender = {
  name: "without-auto-render",
  setup(build) {
    build.onLoad({ filter: /temml[\\/]src[\\/]auto-render\.js$/ }, () => ({
      contents: "export const renderMathInElement = undefined;",
    }));
  },
};

async function checkSize() {
  const size = gzipSync(await readFile(join(OUT, "widget.js")), { level: 9 }).length;
  if (size > MAX_GZIPPED_BYTES) {
    throw new Error(`widget.js is ${size} bytes gzipped, more than the ${MAX_GZIPPED_BYTES} it may be.`);
  }
}

const shared = {
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
  plugins: [styleAsText, withoutAutoRender],
  define: { BUILD_ID: JSON.stringify(await buildId()) },
};

const front = {
  ...shared,
  entryPoints: [
    { in: "src/widget.ts", out: "widget" },
    { in: "src/loader.ts", out: "loader" },
  ],
  // Math without \ce and the physics macros: 9 KB less.
  alias: { temml: "temml/temml.js" },
  outdir: OUT,
  minify: true,
};

if (process.argv.includes("--tests")) {
  await rm("build", { recursive: true, force: true });
  await esbuild.build({
    ...shared,
    entryPoints: await filesIn("test", ".test.ts"),
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
  await checkSize();
}
