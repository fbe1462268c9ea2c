#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The walk-through in headless Chromium: no errors, nothing loaded from elsewhere, every byte in one leaf as it is
// rendered, every link, accessible in light and dark, readable without scripts, from phone to wide screen. TAP.
//
// Usage: BUILD=build browser_test.js    NODE_PATH names what npm has installed; screenshots go to BUILD/walkthrough/
"use strict";
const fs = require("fs");
const path = require("path");
const url = require("url");
const { accessible, fits, must, none, open: openPage, quiet, run } = require("../site/browser.js");

const BUILD = path.resolve(process.env.BUILD || "build");
const PAGE = url.pathToFileURL(path.join(BUILD, "walkthrough.html")).href;
const SHORT = PAGE.replace(".html", "-short.html");
const OUT = path.join(BUILD, "walkthrough");

const sent = new Set(fs.readFileSync(path.join(OUT, "run.jsonl"), "utf8").trim().split("\n").map(JSON.parse)
  .filter((line) => line.hex && line.fields).map((line) => line.hex));

const open = ({ hash = "", ...rest } = {}) => openPage(PAGE + hash, rest);

const cases = {
  async "every byte of every message is in exactly one leaf, as rendered"() {
    const page = await open();
    const messages = await page.$$eval(".hex", (all) => all.map((hex) => {
      const leaves = [...hex.querySelectorAll(".b")];
      const outside = document.createTreeWalker(hex, NodeFilter.SHOW_TEXT);
      let stray = "";
      while (outside.nextNode()) {
        if (!outside.currentNode.parentElement.closest(".b")) stray += outside.currentNode.data.trim();
      }
      return { name: hex.dataset.message, stray, nested: hex.querySelectorAll(".b .b").length,
        bytes: leaves.map((leaf) => leaf.textContent.replace(/\s/g, "")).join(""),
        rows: leaves.filter((leaf) => document.getElementById(leaf.hash.slice(1))).length, leaves: leaves.length };
    }));
    must(messages.length > 80, `${messages.length} messages`);
    none(messages.filter((m) => m.stray !== "" || m.nested > 0 || m.rows !== m.leaves || !sent.has(m.bytes)), "not so");
    await page.close();
  },

  async "every link on the page leads to something that can be seen"() {
    const page = await open();
    const dead = await page.$$eval("a[href^='#']", (all) => all.map((a) => a.getAttribute("href").slice(1))
      .filter((id) => !document.getElementById(id)));
    none(dead, "no such anchor");
    await page.close();
  },

  async "a deep link lands at once, from outside and from within"() {
    const visible = (page, name) => page.evaluate((id) => {
      const box = document.getElementById(id).getBoundingClientRect();
      return box.height > 0 && box.top >= 0 && box.top < innerHeight;
    }, name);
    const within = await open({ motion: "no-preference" });
    for (const anchor of ["nonce-6", "register-import-1-command-20", "value-rc-1df", "one-bit", "rewrap",
      "attack-nonce-standard-rewrap"]) {
      const page = await open({ motion: "no-preference", hash: `#${anchor}` });
      must(await visible(page, anchor), `${anchor}: not there when the page has been loaded`);
      await page.close();
      await within.evaluate(async (name) => {
        location.hash = name;
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
      }, anchor);
      must(await visible(within, anchor), `${anchor}: not there after a frame`);
    }
    await within.close();
  },

  async "the short path: each link leads into the whole, and it is short"() {
    const ids = new Set(await (async (page) => {
      const all = await page.$$eval("[id]", (found) => found.map((e) => e.id));
      await page.close();
      return all;
    })(await open()));
    const page = await openPage(SHORT);
    const links = await page.$$eval("main a", (all) => all.map((a) => a.getAttribute("href")));
    must(links.length > 60, `${links.length} links`);
    none(links.filter((href) => !href.startsWith("walkthrough.html#") || !ids.has(href.split("#")[1])), "leads nowhere");
    const words = await page.$eval("main", (main) => main.innerText.split(/\s+/).length);
    must(words < 1800, `${words} words`);
    await fits(page, "the short path");
    await page.setViewport({ width: 1440, height: 900 });
    await accessible(page);
    await page.screenshot({ path: path.join(OUT, "short-1440-light.png"), fullPage: true });
    await page.close();
  },

  async "the thread of the nonce can be walked to its end by its own links"() {
    const page = await open({ hash: "#nonce-1" });
    let stop = "nonce-1";
    let steps = 0;
    for (let next = stop; next; steps++) {
      stop = next;
      next = await page.$eval(`#${stop}`, (mark) => mark.querySelector("a:last-child")?.hash.slice(1) || null);
      if (next && Number(next.slice(6)) < Number(stop.slice(6))) break;
      if (next) await page.click(`#${stop} a:last-child`);
    }
    must(stop === `nonce-${await page.$$eval(".stops li", (all) => all.length)}`, `ended at ${stop}`);
    must(steps > 10, `${steps} stops`);
    await page.close();
  },

  async "no width makes the page scroll sideways, folded or open"() {
    const page = await open({ scripts: false });
    await fits(page, "folded or open");
    await page.close();
  },

  async "without scripts everything is there and open, on the screen and printed"() {
    const page = await open({ scripts: false });
    for (const media of ["screen", "print"]) {
      await page.emulateMediaType(media);
      const seen = await page.evaluate(() => ({
        closed: document.querySelectorAll("details:not([open])").length,
        hidden: [...document.querySelectorAll("tr[id], .hex, .shell, .result")]
          .filter((e) => e.getBoundingClientRect().height < 4).map((e) => e.id || e.className),
        rows: document.querySelectorAll("tr[id]").length, buttons: document.querySelectorAll("button").length }));
      must(seen.closed === 0 && seen.buttons === 0 && seen.rows > 1500, JSON.stringify(seen).slice(0, 300));
      none(seen.hidden, `hidden on ${media}`);
    }
    await page.close();
  },

  async "the keyboard goes everywhere: skip link, folds, links of the diagram"() {
    const page = await open();
    await page.keyboard.press("Tab");
    must(await page.evaluate(() => document.activeElement.className) === "skip", "the skip link is not first");
    await page.keyboard.press("Enter");
    must(await page.evaluate(() => document.activeElement.id) === "main", "the skip link does not lead to main");
    await page.focus("#vendor-createprimary-1-command summary");
    await page.keyboard.press("Enter");
    must(await page.$eval("#vendor-createprimary-1-command details", (d) => d.open), "a fold does not open");
    await page.$eval(".sequence a.arrow", (arrow) => arrow.focus());
    await page.keyboard.press("Enter");
    must(page.url().endsWith("#vendor-readpublic-1-command"), page.url());
    await page.close();
  },

  async "a pointer on a byte says what it is"() {
    const page = await open({ hash: "#register-import-1-command" });
    await page.hover("#register-import-1-command .k-secret");
    const says = await page.$eval("#register-import-1-command .readout", (p) => p.textContent);
    must(/inner key/.test(says), says);
    await page.close();
  },
};

// Contrast is computed element by element: on 1600 rows for minutes. So the whole page is checked without it, and with
// it all that is different: these have a field of every kind, a stop of the nonce, a wrong bit, a shell line.
const SAMPLE = ["#vendor-readpublic-1-command", "#vendor-createprimary-1-response", "#enrollment-put-1-token",
  "#owner-hierarchychangeauth-1-command", "#register-put-1-blob", "#register-load-1-response",
  "#register-put-2-response", "#one-bit-import-1-command",
  "#value-nonce", "#value-rc-1df", "#rewrap-rewrap-1-response"];

cases["axe finds no violation: the whole page, all open, without contrast"] = async () => {
  const page = await open({ scripts: true });
  await page.$$eval("details", (all) => all.forEach((d) => { d.open = true; }));
  await accessible(page, { "color-contrast": { enabled: false } });
  await page.close();
};

for (const [theme, width] of [["light", 1440], ["dark", 390]]) {
  cases[`axe finds no violation: ${theme}, ${width} px, everything that is different, open`] = async () => {
    const page = await open({ width, theme });
    await page.evaluate((sample) => {
      const kept = sample.map((one) => document.querySelector(one));
      document.querySelectorAll(".message, .value").forEach((one) => { if (!kept.includes(one)) one.remove(); });
      document.querySelectorAll("details").forEach((d) => { d.open = true; });
      document.querySelectorAll("a[href^='#']").forEach((a) => { 
        if (!document.getElementById(a.getAttribute("href").slice(1))) a.setAttribute("href", "#main");
      });
    }, SAMPLE);
    await accessible(page);
    await page.close();
  };
}

cases["screenshots"] = async () => {
  const views = { top: "body", diagram: "#picture", step1: "#step-1", value: "#value-nonce",
    message: "#register-import-1-command", request: "#register-put-2-request", failure: "#one-bit",
    rewrap: "#rewrap", hardened: "#rewrap-hardened", sessions: "#sessions", attacks: "#attacks" };
  for (const [width, theme] of [[390, "light"], [390, "dark"], [1440, "light"], [1440, "dark"]]) {
    const page = await open({ width, theme });
    await page.setViewport({ width, height: 1400 });
    await page.$$eval("#value-nonce details, #register-import-1-command details",
      (all) => all.forEach((d) => { d.open = true; }));
    for (const [name, selector] of Object.entries(views)) {
      await page.$eval(selector, (element) => element.scrollIntoView());
      await page.screenshot({ path: path.join(OUT, `${name}-${width}-${theme}.png`) });
    }
    await page.close();
  }
};

cases["nothing was complained of, and nothing but the pages was asked for"] = async () => quiet([PAGE, SHORT]);

run(cases);
