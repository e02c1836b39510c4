// node validate_glb.mjs FILE...: runs the Khronos validator, prints one JSON report a line.
// GET3D_NODE_MODULES names the folder that holds gltf-validator (npm install gltf-validator).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const modules = process.env.GET3D_NODE_MODULES;
const require = createRequire(modules ? join(modules, "index.js") : import.meta.url);
const validator = require("gltf-validator");

for (const path of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(path)), {
    maxIssues: 50,
    severityOverrides: {},
  });
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  console.log(JSON.stringify({ path, numErrors, numWarnings, numInfos, numHints, messages }));
}
