// node chromium_render.mjs JOB.json: every file of the job in headless Chromium, from every camera.
// GET3D_CHROMIUM names the browser. Writes FOLDER/FILE-CAMERA.png, prints one JSON a file.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { folder, require } from "./modules.mjs";

const { default: puppeteer } = await import(require.resolve("puppeteer-core"));
const { files, cameras, size, folder: out } = JSON.parse(readFileSync(process.argv[2]));
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".glb": "model/gltf-binary" };

function find(path) {
  if (path === "/") return join(import.meta.dirname, "page.html");
  if (path.startsWith("/modules/")) return join(folder, path.slice("/modules/".length));
  if (path.startsWith("/glb/")) return files[Number(path.slice("/glb/".length))];
  return undefined;
}

const server = createServer(async (request, response) => {
  const path = find(new URL(request.url, "http://localhost").pathname);
  try {
    const content = await readFile(path);
    response.writeHead(200, { "content-type": KINDS[extname(path)] ?? "text/plain" }).end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const browser = await puppeteer.launch({
  executablePath: process.env.GET3D_CHROMIUM,
  args: [
    "--no-sandbox", // it opens our own page only; root and containers have no sandbox
    // WebGL on the processor: the same picture on every machine.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    // It asks nothing of the network.
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(error.message));
  page.on("console", (message) => console.error(message.text()));
  await page.setViewport({ width: size, height: size });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction("window.show !== undefined");
  for (const file of files.keys()) {
    console.log(JSON.stringify(await page.evaluate((url) => window.openGlb(url), `/glb/${file}`)));
    for (const [index, camera] of cameras.entries()) {
      await page.evaluate((camera, size) => window.show(camera, size), camera, size);
      await page.screenshot({ path: join(out, `${file}-${index}.png`), omitBackground: true });
    }
  }
} finally {
  await browser.close();
  server.close();
}
