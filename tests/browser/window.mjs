// A browser and its windows, for programs that drive pages: what a page complains about is seen, and
// what it must never have is a complaint too. CHROMIUM names another browser.

import { chromium } from "playwright-core";
import { WAIT_MS, prove } from "../socketio/facts.mjs";

export const WIDE = { width: 1280, height: 800 };

/** What a page must never have: errors on its console, uncaught ones, refusals by its policy. */
export const complaints = [];

/** A page that complains where we see it. `prepare` is given it before it goes anywhere. */
export async function open(browser, name, url, size = WIDE, prepare = () => {}) {
  const context = await browser.newContext({ viewport: size });
  context.setDefaultTimeout(WAIT_MS);
  const page = await context.newPage();
  await prepare(page);
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${name}: ${error.message}`));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy ${event.violatedDirective} refused ${event.blockedURI}`);
    });
  });
  const response = await page.goto(url);
  const policy = response.headers()["content-security-policy"] ?? "";
  if (!policy || policy.includes("unsafe")) complaints.push(`${url} has the policy "${policy}"`);
  return page;
}

/**
 * Begins a browser with further arguments, proves the facts in the world that `begin` makes in it,
 * and ends with 0 if all hold and with 1 if not.
 */
export async function run(facts, begin, ...args) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync", ...args],
  });
  let isGood = false;
  try {
    isGood = await prove(facts, await begin(browser));
  } catch (error) {
    console.log(`not ok - it begins\n${error.message}`);
  } finally {
    if (!isGood) for (const complaint of complaints) console.log(`# ${complaint}`);
    await browser.close();
  }
  process.exit(isGood ? 0 : 1);
}
