// SPDX-License-Identifier: MIT
// Chromium without a window, for the tests of pages; their results as TAP. NODE_PATH names what npm has installed.
"use strict";
const axe = require("axe-core");
const puppeteer = require("puppeteer-core");

const BROWSER = process.env.CHROMIUM || "/usr/bin/chromium";
const LONG = { timeout: 300000 };
const WIDTHS = [320, 390, 900, 1440];
const complaints = []; // of every page that any test opens
const requests = [];
let browser;

const must = (condition, what) => {
  if (!condition) throw new Error(what);
};
const same = (got, wanted, what) => {
  must(got === wanted, `${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
};
const none = (list, what) => {
  must(list.length === 0, `${what}: ${list.slice(0, 4).map((one) => JSON.stringify(one)).join("; ")}`);
};

async function open(address, { width = 1440, theme = "light", scripts = true, motion = "reduce" } = {}) {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) complaints.push(`${address}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${address}: ${error.message}`));
  page.on("request", (request) => requests.push(request.url()));
  await page.setJavaScriptEnabled(scripts);
  await page.setViewport({ width, height: width < 800 ? 844 : 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme },
    { name: "prefers-reduced-motion", value: motion }]);
  await page.goto(address);
  return page;
}

// Nothing is wider than the window, whatever that is.
async function fits(page, what) {
  for (const width of WIDTHS) {
    await page.setViewport({ width, height: 800 });
    const { wide, culprit } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth - innerWidth,
      culprit: [...document.querySelectorAll("main *")]
        .find((e) => e.getBoundingClientRect().right > innerWidth + 1)?.outerHTML.slice(0, 120) }));
    must(wide <= 0, `${wide} too wide at ${width}, ${what}: ${culprit}`);
  }
}

async function accessible(page, rules = {}) {
  await page.evaluate(axe.source);
  const result = await page.evaluate((options) => window.axe.run(document, options),
    { resultTypes: ["violations"], selectors: false, rules, preload: false });
  none(result.violations.map((v) => ({ rule: v.id, count: v.nodes.length, where: v.nodes[0].html.slice(0, 200),
    why: v.nodes[0].failureSummary.slice(0, 200) })), "violations");
  must(result.passes.length > 10, "axe has looked at nothing");
}

// As the last case: of the pages themselves, no others.
function quiet(pages) {
  none(complaints, "console");
  none(requests.filter((one) => !pages.includes(one.split("#")[0]) && !one.startsWith("data:")), "asked for");
}

// Those whose name has the word of the command line; all without one.
async function run(cases) {
  const root = process.getuid() === 0; // Chromium's sandbox does not run as root
  browser = await puppeteer.launch({ executablePath: BROWSER, args: root ? ["--no-sandbox"] : [],
    protocolTimeout: LONG.timeout });
  let failed = 0;
  const wanted = Object.entries(cases).filter(([name]) => name.includes(process.argv[2] || ""));
  console.log(`1..${wanted.length}`);
  for (const [i, [name, test]] of wanted.entries()) {
    const start = Date.now();
    try {
      await test();
      console.log(`ok ${i + 1} - ${name} # ${Date.now() - start} ms`);
    } catch (error) {
      failed++;
      console.log(`not ok ${i + 1} - ${name}\n# ${error.message.replace(/\n/g, "\n# ")}`);
    }
  }
  await browser.close();
  process.exit(failed > 0 ? 1 : 0);
}

module.exports = { LONG, accessible, complaints, fits, must, none, open, quiet, run, same };
