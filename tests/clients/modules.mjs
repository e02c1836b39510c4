// GET3D_NODE_MODULES names the node_modules folder that holds the packages of package.json.
import { createRequire } from "node:module";
import { join } from "node:path";

export const folder = process.env.GET3D_NODE_MODULES ?? join(import.meta.dirname, "node_modules");
export const require = createRequire(join(folder, "index.js"));
