// node validate_glb.mjs FILE...: runs the Khronos validator, prints one JSON report a line.
import { readFileSync } from "node:fs";
import { require } from "./modules.mjs";

const validator = require("gltf-validator");

for (const path of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(path)), {
    maxIssues: 50,
    severityOverrides: {},
  });
  const { numErrors, numWarnings, numInfos, numHints, messages } = report.issues;
  console.log(JSON.stringify({ path, numErrors, numWarnings, numInfos, numHints, messages }));
}
