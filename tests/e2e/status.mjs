// The status page in a real browser.
//
// Takes the browser's path, the page's address and a folder. Opens the page at the widths of a desk and of
// a phone, in light and in dark, waits until it shows how things stand, and puts a picture of each into the
// folder. Prints what it saw as one line of JSON.

import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(new URL("../../target/e2e/", import.meta.url));
const { chromium } = require("playwright-core");

const [path, url, folder] = process.argv.slice(2);
setTimeout(() => process.exit(1), 60_000).unref();

const browser = await chromium.launch({ executablePath: path, args: ["--no-sandbox", "--disable-gpu"] });
const seen = [];
for (const [name, width, height] of [["desk", 1280, 900], ["phone", 390, 844]]) {
  for (const colorScheme of ["light", "dark"]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    const trouble = [];
    page.on("pageerror", error => trouble.push(String(error)));
    page.on("console", message => ["error", "warning"].includes(message.type()) && trouble.push(message.text()));
    page.on("dialog", dialog => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    await page.goto(url);
    await page.waitForFunction(() => document.querySelectorAll("#refusals tbody tr").length > 0);
    await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`), fullPage: true });
    seen.push(await page.evaluate(() => ({
      state: document.getElementById("state").textContent,
      text: document.body.innerText,
      images: document.querySelectorAll("main img, main script").length,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      ground: getComputedStyle(document.body).backgroundColor,
    })));
    Object.assign(seen.at(-1), { name, colorScheme, trouble });
    await context.close();
  }
}
await browser.close();
console.log(JSON.stringify(seen));
process.exit(0);
