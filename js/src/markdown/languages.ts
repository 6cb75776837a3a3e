import core from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import julia from "highlight.js/lib/languages/julia";
import python from "highlight.js/lib/languages/python";
import r from "highlight.js/lib/languages/r";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const languages = {
  bash,
  cpp,
  diff,
  go,
  ini,
  java,
  javascript,
  json,
  julia,
  python,
  r,
  rust,
  sql,
  typescript,
  xml,
  yaml,
};

export const highlighter = core.newInstance();

for (const [name, language] of Object.entries(languages)) highlighter.registerLanguage(name, language);
highlighter.registerAliases(["c", "h"], { languageName: "cpp" });
highlighter.registerAliases(["ipython", "ipython3", "python3"], { languageName: "python" });
highlighter.registerAliases(["shell", "console"], { languageName: "bash" });
highlighter.registerAliases(["jsonl", "json5"], { languageName: "json" });
