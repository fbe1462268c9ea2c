#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The site's pages in headless Chromium: readable without scripts, from phone to wide screen, accessible in light and dark.
// The walk-through and the lab have tests of their own.
//
// Usage: BUILD=build pages_test.js    NODE_PATH names what npm has installed; screenshots go to BUILD/site-shots/
"use strict";
const fs = require("fs");
const path = require("path");
const url = require("url");
const { accessible, fits, must, open, quiet, run } = require("./browser.js");

const SITE = path.resolve(process.env.BUILD || "build", "site");
const SHOTS = path.resolve(process.env.BUILD || "build", "site-shots");
const at = (name) => url.pathToFileURL(path.join(SITE, name)).href;
const PAGES = [...fs.readdirSync(SITE).filter((name) => name.endsWith(".html") && !/^(walkthrough|lab)/.test(name)),
  "walkthrough-short.html", "source/index.html", "source/tpm/index.html", "source/tpm/protect.c.html",
  "source/tests/model/README.md.html"];

// Contrast is computed element by element: of a long table or text a few rows are enough.
const shorten = (page) => page.evaluate(() => {
  document.querySelectorAll("tbody tr:nth-child(n+6), .tree li:nth-child(n+20)").forEach((row) => row.remove());
  document.querySelectorAll("a[href^='#']").forEach((a) => {
    if (!document.getElementById(a.getAttribute("href").slice(1))) a.setAttribute("href", "#main");
  });
});

const cases = {
  async "without scripts each page is there, and no width makes it scroll sideways"() {
    for (const name of PAGES) {
      const page = await open(at(name), { scripts: false });
      const words = await page.$eval("main", (main) => main.innerText.split(/\s+/).length);
      must(words > (name.startsWith("source/") ? 3 : 20), `${name}: ${words} words`);
      await fits(page, name);
      await page.close();
    }
  },

  async "an anchor of a file is in view"() {
    const text = fs.readFileSync(path.join(SITE, "source/tpm/protect.c.html"), "utf8");
    const line = text.match(/id="(L\d+)">void tpm2_duplicate_make|id="(L\d+)">int tpm2_duplicate_make/);
    const anchor = line[1] || line[2];
    const page = await open(`${at("source/tpm/protect.c.html")}#${anchor}`);
    const box = await page.$eval(`#${anchor}`, (e) => e.getBoundingClientRect().top);
    must(box >= 0 && box < 900, `${anchor} at ${box}`);
    await page.close();
  },
};

for (const [theme, width] of [["light", 1440], ["dark", 390]]) {
  cases[`axe finds no violation: ${theme}, ${width} px`] = async () => {
    fs.mkdirSync(SHOTS, { recursive: true });
    for (const name of PAGES) {
      const page = await open(at(name), { width, theme });
      await page.screenshot({ path: path.join(SHOTS, `${name.replaceAll("/", "-").slice(0, -5)}-${width}-${theme}.png`) });
      await shorten(page);
      try {
        await accessible(page);
      } catch (error) {
        throw new Error(`${name}: ${error.message}`);
      }
      await page.close();
    }
  };
}

cases["nothing was complained of, and nothing but pages and their style was asked for"] = async () => {
  quiet([...PAGES.map(at), at("style.css")]);
};

run(cases);
