#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The lab in headless Chromium: every scene, every exercise, the map of a blob, by what a visitor would do; every byte in
// one field as it is rendered; keyboard; accessible in light and dark, from phone to wide screen. TAP.
//
// Usage: BUILD=build page_test.js    NODE_PATH names what npm has installed; screenshots go to BUILD/lab/
"use strict";
const childProcess = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const url = require("url");
const { LONG, accessible, complaints, fits, must, none, open: openPage, quiet, run, same } = require("../site/browser.js");

const MONKEY = Number(process.env.MONKEY || 400); // how many things are done in an odd order
const BUILD = path.resolve(process.env.BUILD || "build");
const PAGE = url.pathToFileURL(path.join(BUILD, "lab.html")).href;

async function open({ hash = "", ...rest } = {}) {
  const page = await openPage(PAGE + hash, rest);
  await page.waitForFunction(() => document.querySelectorAll("#row li").length === 11, LONG);
  return page;
}

// ---- What a visitor does ----

const press = (page, id) => page.$eval(`#${id}`, (b) => b.click());
const summary = (page) => page.$eval("#summary", (p) => p.textContent);
const stage = (page, number) => page.$eval(`#row li:nth-child(${number}) button`, (b) => b.click());

async function scene(page, title) {
  const value = await page.$$eval("#scene option", (all, wanted) => all.find((o) => o.textContent === wanted)?.value, title);
  must(value !== undefined, `no scene "${title}"`);
  await page.select("#scene", value);
}

// Choose a field in a message of a stage that has run, and type into it; value null: flip its last bit.
async function edit(page, number, message, field, value = null) {
  await stage(page, number);
  await page.evaluate((kind, name) => {
    const label = new RegExp(`^\\d+, ${name},`);
    const found = [...document.querySelectorAll(`#messages .${kind} [role=button]`)]
      .filter((b) => label.test(b.getAttribute("aria-label")));
    if (found.length === 0) throw new Error(`no field ${name} in ${kind}`);
    found[0].click();
  }, message, field);
  await submit(page, value);
}

async function submit(page, value) {
  await page.evaluate((text) => {
    const form = document.querySelector(".editor");
    if (text === null) {
      [...form.querySelectorAll("button")].find((b) => /Flip/.test(b.textContent)).click();
    } else {
      const input = form.querySelector("input");
      input.value = typeof text === "string" ? text : input.value.replace(...text);
      form.requestSubmit();
    }
  }, value);
}

async function thing(page, number, name, value) {
  await stage(page, number);
  await page.$eval(`[aria-label="Change: ${name}"]`, (b) => b.click());
  await submit(page, value);
}

// ---- Scenes ----

const SCENES = {
  "As it should be": /belongs to hub-a.example.*Nobody refused/,
  "The wrong EK template": /Stage 5: the service refuses/,
  "A key made by software": /Stage 5: the service refuses/,
  "A key that says it cannot leave": /Stage 7: the TPM refuses.*SRK's Name/,
  "One command too many": /carried 2 keys out/,
  "One command too many, in vain": /refused the interposer 2 times.*2 inner keys, and no key/,
  "A token used twice": /Afterwards: the service refuses/,
  "Cleared between challenge and answer": /belongs to hub-a.example.*refusal on the way did not stop the device/,
  Resale: /Afterwards: the TPM refuses.*keeps outside/,
  "An interposer who listens": /learned 4 secrets/,
  "He listens, to sessions": /belongs to hub-a.example.*Nobody refused/,
  "An interposer who acts": /carried 2 keys out/,
  "He acts, against sessions": /refused the interposer 4 times/,
  "He shows an EK of his own": /Stage 5: the service refuses/,
  "A rogue service": /belongs to hub-x.example.*Afterwards: the service refuses/,
  "A slow clock": /Stage 9: the service refuses/,
  "No clock, and a wrong Date": /Stage 8: the device refuses/,
  "A restored back-up": /Afterwards: the service refuses/,
};

const cases = {
  async "each scene ends as the native test says, and says where in the source"() {
    const page = await open();
    const titles = await page.$$eval("#scene option", (all) => all.map((o) => o.textContent));
    same(titles.join("|"), Object.keys(SCENES).join("|"), "scenes");
    for (const [title, wanted] of Object.entries(SCENES)) {
      await scene(page, title);
      await press(page, "all");
      const says = await summary(page);
      must(wanted.test(says), `${title}: ${says}`);
      must(await page.$eval("#lesson", (p) => p.textContent.length) > 40, `${title} teaches nothing`);
      const places = await page.$$eval("#refusals .where", (all) => all.map((w) => w.querySelectorAll("a.src").length));
      must(!places.includes(0), `${title}: a refusal without a function`);
    }
    same(await page.$$eval("#secrets li", (all) => all.length), 0, "secrets of the last scene");
    await page.close();
  },

  async "an address names a scene, and a stage of it"() {
    const page = await open({ hash: "#replay-6" });
    same(await page.$eval("#scene", (list) => list.selectedOptions[0].textContent), "A token used twice", "the scene");
    must(/^6 /.test(await page.$eval("#stage-title", (h) => h.textContent)), "stage 6 is not chosen");
    must(await page.$("#messages .activation-blob"), "stage 6 has not been played");
    await page.evaluate(() => { location.hash = "rogue"; });
    await page.waitForFunction(() => /another service/.test(document.getElementById("scene-text").textContent), LONG);
    same(await page.$eval("#scene", (list) => list.selectedOptions[0].textContent), "A rogue service", "the list");
    await page.evaluate(() => { location.hash = "main"; });
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    same(await page.$eval("#scene", (list) => list.selectedOptions[0].textContent), "A rogue service", "after the skip link");
    await page.close();
  },

  async "stages one at a time, messages one at a time, and from the beginning"() {
    const page = await open();
    for (let number = 1; number <= 10; number++) {
      await press(page, "next");
      same(await page.$eval("#row [aria-current]", (b) => b.textContent.replace(/\D/g, "")), `${number}`, "the chosen stage");
    }
    must(/Nobody refused/.test(await summary(page)), await summary(page));
    await press(page, "again");
    for (let i = 0; i < 3; i++) await press(page, "one");
    same(await page.$$eval("#messages article", (all) => all.length), 3, "messages after three");
    await page.close();
  },

  async "every byte of every message is in exactly one field, as rendered"() {
    const page = await open();
    let seen = 0;
    await press(page, "all");
    for (let number = 1; number <= 10; number++) {
      await stage(page, number);
      const wrong = await page.$$eval("#messages article", (all) => all.map((article) => {
        const box = article.querySelector(".hex, .text");
        const number = (text) => Number(text.match(/(\d+) bytes/)[1]);
        const count = [...box.querySelectorAll(".b")].reduce((sum, b) => sum + number(b.getAttribute("aria-label")), 0);
        const head = article.querySelector("h4").textContent;
        return { head, count, said: number(head) };
      }));
      seen += wrong.length;
      none(wrong.filter((m) => m.count !== m.said), "not so");
    }
    must(seen > 75, `${seen} messages`);
    await page.close();
  },

  async "a change is seen, and can be undone"() {
    const page = await open();
    await press(page, "all");
    await edit(page, 6, "activation-blob", "dupSensitive");
    const says = await summary(page);
    must(/Stage 7: the TPM refuses.*outer HMAC/.test(says), says);
    must(await page.$eval("#refusals", (l) => /TPM2_Import.*tiny_import/s.test(l.textContent)), "no function");
    same(await page.evaluate(() => document.activeElement.id), "verdict", "the focus");
    await stage(page, 6);
    must(await page.$(".activation-blob .k-flip"), "the changed field is not marked");
    await press(page, "undo");
    must(/Nobody refused/.test(await summary(page)), await summary(page));
    await edit(page, 8, "http-request", "Host", "zz");
    must(/not 19 bytes/.test(await page.$eval(".editor .says", (s) => s.textContent)), "too short, and not refused");
    await page.close();
  },

  async "what a visitor pastes: a whole key at once, too little, other letters, quotation marks"() {
    const page = await open();
    await press(page, "all");
    await edit(page, 6, "activation-blob", "secret.secret", "5a ".repeat(256));
    must(/Stage 7: the TPM refuses.*OAEP/.test(await summary(page)), await summary(page));
    must(/secret, bytes 56–311\.$/.test(await page.$eval("#changes", (c) => c.textContent)), await page.$eval("#changes",
      (c) => c.textContent));
    await press(page, "undo");
    must(/Nobody refused/.test(await summary(page)), "one undo takes back one edit");
    must(await page.$eval("#undo", (b) => b.disabled), "nothing is left to undo");
    for (const [text, wanted] of [["zz", /These are 10 bytes, and not 19/], ["dps.example日", /These are not 19 bytes/],
      ['dps."xample', /not 19 bytes.*quotation mark/], ["dps.example", /Nothing is changed/]]) {
      await edit(page, 8, "http-request", "Host", ["dps.example", text]);
      const says = await page.$eval(".editor .says", (s) => s.textContent);
      must(wanted.test(says), `${text}: ${says}`);
    }
    await edit(page, 4, "public", "unique.buffer");
    await stage(page, 9);
    must(/ended at stage 5/.test(await page.$eval("#messages", (m) => m.textContent)), "stage 9 of a story that has ended");
    await page.close();
  },

  async "a look at the words, and back: what was changed is still changed"() {
    const page = await open();
    await press(page, "all");
    await edit(page, 6, "activation-blob", "dupSensitive");
    const before = await summary(page);
    await page.click("a[href='#words']");
    await page.waitForFunction(() => document.getElementById("words").open, LONG);
    await page.goBack();
    await page.waitForFunction(() => location.hash === "", LONG);
    same(await summary(page), before, "the verdict");
    must(!await page.$eval("#undo", (b) => b.disabled), "the change is forgotten");
    await page.close();
  },

  async "the same from a scene that an address has named"() {
    const page = await open({ hash: "#replay-6" });
    await edit(page, 6, "activation-blob", "dupSensitive");
    const before = await summary(page);
    await page.click("a[href='#words']");
    await page.waitForFunction(() => document.getElementById("words").open, LONG);
    await page.goBack();
    await page.waitForFunction(() => location.hash === "#replay-6", LONG);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    same(await summary(page), before, "the verdict");
    must(!await page.$eval("#undo", (b) => b.disabled), "the change is forgotten");
    await page.close();
  },

  async "who refuses: the header, the handles, the sessions or the command itself"() {
    const page = await open();
    for (const [field, value, wanted] of [["tag", null, /BAD_TAG.*execute\.c:read_header/], ["commandCode", "00 00 0f ff",
      /unknown command.*COMMAND_CODE.*read_header/], ["keyHandle", "00 00 00 00", /read_handles/],
    ["[a-zA-Z.]*sessionHandle", "40 00 00 0a", /tiny_sessions_begin/], ["[a-zA-Z.]*integrityHMAC[a-zA-Z.]*", null, /tiny_/]]) {
      await scene(page, "As it should be");
      await press(page, "all");
      await edit(page, 7, "tpm-command ~ .tpm-command ~ .tpm-command", field, value);
      const says = await page.$eval("#refusals .fatal", (l) => l.textContent);
      must(wanted.test(says), `${field}: ${says}`);
    }
    await page.close();
  },

  async "an answer that was changed is not the word of TPM or service"() {
    const page = await open();
    for (const [number, message, field, value, wanted] of [
      [1, "tpm-response", "responseCode", null, /TPM_RC_TYPE.*So says an answer that you have changed\.$/],
      [6, "http-response", "start line", [" 401 ", " 403 "], /^Stage 6: the device refuses.*BYTES_E_HTTP/],
      [1, "tpm-command", "tag", null, /TPM_RC_BAD_TAG.*In .*read_header\.$/],
      [4, "http-request", "start line", null, /400001.*In one of .*\.$/],
      [2, "sas-token", "skn", null, /names\. In .*refuse_token\.$/]]) {
      await press(page, "again");
      await press(page, "all");
      await edit(page, number, message, field, value);
      const says = await page.$eval("#refusals .fatal", (l) => l.textContent);
      must(wanted.test(says), `${message}, ${field}: ${says}`);
    }
    await page.close();
  },

  async "each thing is shown as it is at the beginning of the chosen stage, and can be changed there"() {
    const page = await open();
    const names = () => page.$$eval("#things li > b", (all) => all.map((b) => b.textContent));
    await press(page, "all");
    must((await names()).includes("The device's record"), "no record at stage 10");
    let count = 0;
    for (const number of [4, 10]) {
      await press(page, "again");
      await press(page, "all");
      await stage(page, number);
      const here = await names();
      same(here.includes("The device's record"), number === 10, `the record at stage ${number}`);
      for (const name of here) {
        await press(page, "again");
        await press(page, "all");
        await thing(page, number, name, /clock/.test(name) ? "1800000001" : null);
        const says = await page.$eval("#changes", (c) => c.textContent);
        must(says.startsWith(`You have changed: stage ${number}, ${name}, byte`), `${name}, stage ${number}: ${says}`);
        must(!/Not all/.test(says), says);
        count++;
      }
    }
    must(count > 15, `${count} things`);
    await page.close();
  },

  async "the keyboard goes everywhere"() {
    const page = await open();
    await page.keyboard.press("Tab");
    must(await page.evaluate(() => document.activeElement.className) === "skip", "the skip link is not first");
    await page.focus("#all");
    await page.keyboard.press("Enter");
    must(/Nobody refused/.test(await summary(page)), await summary(page));
    await page.focus("#row li:nth-child(7) button");
    await page.keyboard.press("Space");
    await page.focus("#messages [role=button][tabindex='0']");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("End");
    const label = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    must(label && !label.startsWith("1,"), label);
    await page.keyboard.press("Enter");
    same(await page.evaluate(() => document.activeElement.tagName), "INPUT", "the editor has the focus");
    await page.keyboard.press("End");
    await page.keyboard.press("Backspace");
    await page.keyboard.type((await page.$eval(".editor input", (i) => i.value)).endsWith("1") ? "2" : "1");
    await page.keyboard.press("Enter");
    same(await page.evaluate(() => document.activeElement.id), "verdict", "the focus after a change");
    await page.close();
  },
};

// ---- What nobody would do ----

// Numbers that are the same with the same seed.
const dice = (seed) => {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
};

// One thing that can be done on the page, chosen by the dice. Returns its name.
const anything = (page, dice) => page.evaluate((a, b, c) => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (list) => (list.length > 0 ? list[b % list.length] : null);
  const acts = [
    () => one(all("#row button"))?.click(),
    () => one(all("#all, #next, #one, #undo, #again"))?.click(),
    () => one(all("#messages [role=button]"))?.click(),
    () => one(all("#things button"))?.click(),
    () => one(all("#messages summary"))?.click(),
    () => one(all(".editor button[type=button]"))?.click(),
    () => {
      const form = one(all(".editor"));
      if (!form) return;
      const input = form.querySelector("input");
      const old = input.value;
      const values = ["", "0", "ff ".repeat(64), `${old}0`, old.slice(0, -2), "\\", "\"}", "日本", "-1", "99999999999999",
        old.replace(/[0-9a-f]/, (digit) => ((parseInt(digit, 16) + 1) % 16).toString(16)), old.split("").reverse().join("")];
      input.value = values[c % values.length];
      form.requestSubmit();
    },
    () => {
      if (c % 4 > 0) return;
      const list = document.getElementById("scene");
      list.selectedIndex = b % list.options.length;
      list.dispatchEvent(new Event("change"));
    },
    () => { if (c % 4 === 0) location.hash = ["", "main", "rogue", "replay-11", "x-99", "%", "ordinary-0"][b % 7]; },
  ];
  acts[a % acts.length]();
  return a % acts.length;
}, dice(9), dice(100000), dice(100000));

cases["whatever is clicked and entered in whatever order: no error, and a new beginning is like the first"] = async () => {
  const seed = Number(process.env.SEED || Date.now() % 100000);
  console.log(`# SEED=${seed}`);
  const page = await open();
  const roll = dice(seed);
  for (let i = 0; i < MONKEY; i++) {
    await anything(page, roll);
    const told = await page.evaluate(() => ({ summary: document.getElementById("summary").textContent,
      stages: document.querySelectorAll("#row li").length, undo: !document.getElementById("undo").disabled,
      changed: document.getElementById("changes").textContent.startsWith("You have changed:") }));
    must(told.summary !== "" && !/undefined|NaN|null/.test(told.summary) && told.stages === 11, JSON.stringify(told));
    same(told.undo, told.changed, `step ${i}: the button to undo, and what is changed`);
    none(complaints, `step ${i}`);
  }
  await scene(page, "As it should be");
  await press(page, "all");
  must(/Nobody refused/.test(await summary(page)), await summary(page));
  await page.close();
};

cases["the module sends, in each scene, the bytes that the native program sends"] = async () => {
  const native = childProcess.execFileSync(path.join(BUILD, "lab/test_lab"), ["digests"], { encoding: "utf8" });
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(path.join(BUILD, "lab/lab.wasm")))).exports;
  const text = (length) => Buffer.from(wasm.memory.buffer, wasm.lab_text(), length).toString();
  const lines = JSON.parse(text(wasm.lab_scenes())).map(({ name }, number) => {
    wasm.lab_reset(number);
    wasm.lab_run(11);
    const hash = crypto.createHash("sha256");
    JSON.parse(text(wasm.lab_state())).messages.forEach((_, i) => {
      hash.update(Buffer.from(JSON.parse(text(wasm.lab_message(i)).split("\n")[1]).hex, "hex"));
    });
    return `${name} ${hash.digest("hex")}\n`;
  });
  same(lines.join(""), native, "digests");
};

// ---- Exercises ----

const SOLUTIONS = [
  (page) => press(page, "all"),
  (page) => edit(page, 4, "public", "unique.buffer"),
  (page) => edit(page, 4, "public ~ .public", "objectAttributes"),
  (page) => edit(page, 6, "activation-blob", "secret.secret"),
  (page) => edit(page, 6, "activation-blob", "dupSensitive"),
  (page) => edit(page, 6, "activation-blob", "encUriData.buffer"),
  (page) => edit(page, 8, "sas-token", "se", ["se=1", "se=2"]),
  (page) => thing(page, 8, "The service's clock", "1800003600"),
  (page) => edit(page, 6, "activation-blob", "[a-zA-Z]+.size"),
  (page) => thing(page, 8, "The service's secret", ["74", "75"]),
  async (page) => { await scene(page, "Resale"); await press(page, "all"); },
  async (page) => { await scene(page, "One command too many, in vain"); await press(page, "all"); },
];

cases["each exercise can be solved, and is not solved before"] = async () => {
  const page = await open();
  const solved = (n) => page.$eval(`#exercise-${n} .mark`, (m) => m.textContent !== "");
  for (const [i, solve] of SOLUTIONS.entries()) {
    await scene(page, "As it should be");
    if (i > 0) await press(page, "all");
    must(!await solved(i + 1), `exercise ${i + 1} is solved before it is tried`);
    await solve(page);
    must(await solved(i + 1), `exercise ${i + 1}: ${await summary(page)}`);
  }
  same(await page.$eval("#exercise-count", (c) => c.textContent), "12 of 12 solved.", "the count");
  await page.close();
};

// Other ways that an answer names, and ways that only look like one: exercise, whether it is solved, what is done.
const WAYS = [
  [3, true, (page) => edit(page, 4, "http-request", "registrationId", ["boiler-7", "boiler-8"])],
  [3, false, (page) => thing(page, 2, "The TPM's endorsement seed", null)],
  [3, false, (page) => edit(page, 4, "tpm-response", "[a-zA-Z.]*unique.buffer")],
  [5, true, (page) => edit(page, 6, "activation-blob", "inSymSeed.secret")],
  [5, true, (page) => edit(page, 6, "activation-blob", "unique.buffer")],
  [7, true, (page) => edit(page, 8, "sas-token", "sig")],
  [7, true, (page) => edit(page, 8, "sas-token", "sr")],
  [8, true, (page) => thing(page, 7, "The device's clock", "1")],
];

cases["other ways to solve an exercise, and what is none"] = async () => {
  for (const [number, wanted, way] of WAYS) {
    const page = await open();
    await press(page, "all");
    await way(page);
    const solved = await page.$eval(`#exercise-${number} .mark`, (m) => m.textContent !== "");
    same(solved, wanted, `exercise ${number}, ${way}: ${await summary(page)}`);
    await page.close();
  }
};

// ---- The map ----

cases["the map: each layer of a blob answers for its bytes"] = async () => {
  const page = await open();
  await press(page, "map-run");
  await page.waitForFunction(() => document.getElementById("map-progress").textContent === "Done.", LONG);
  const rows = Object.fromEntries(await page.$$eval("#map-legend tr",
    (all) => all.map((row) => [row.children[1].textContent, row.children[3].textContent])));
  const has = (layer, first, last) => {
    const found = (rows[layer] || "").split(", ").map((part) => part.split("–").map(Number));
    must(found.some(([from, to]) => from <= first && to >= last), `${layer}: ${rows[layer]}`);
  };
  has("the EK's OAEP padding", 56, 311);
  has("the SRK's OAEP padding", 458, 713);
  has("the credential's HMAC, over the inner key and the SRK's Name", 4, 53);
  has("the outer HMAC, over the wrapped key and its Name", 316, 455);
  has("the outer HMAC, over the wrapped key and its Name", 732, 763);
  must(Object.keys(rows).some((layer) => layer.startsWith("nobody")), "nothing is unprotected");
  await page.close();
};

// ---- How it looks ----

cases["no width makes the page scroll sideways"] = async () => {
  const page = await open();
  await press(page, "all");
  await edit(page, 6, "activation-blob", "dupSensitive");
  await page.$$eval("details", (all) => all.forEach((d) => { d.open = true; }));
  for (const number of [4, 6, 7]) {
    await stage(page, number);
    await page.$eval("#messages [role=button]", (b) => b.click());
    await fits(page, `stage ${number}`);
  }
  await scene(page, "He listens, to sessions");
  await stage(page, 7);
  await page.$$eval("#messages details", (all) => all.forEach((d) => { d.open = true; }));
  const clear = await page.$$eval("#messages .session", (lists) => lists.map((list) => [...list.children]
    .find((row) => row.querySelector("b").textContent === "clear")?.querySelector("dd").textContent).filter(Boolean));
  const keys = clear.filter((hex) => hex.length === 32); // the inner key leaves the TPM, and comes back
  must(keys.length === 2 && keys[0] === keys[1], JSON.stringify(clear));
  await fits(page, "what sessions hide");
  await page.setViewport({ width: 390, height: 844 });
  await accessible(page);
  await page.close();
};

for (const [theme, width] of [["light", 1440], ["dark", 390]]) {
  cases[`axe finds no violation: ${theme}, ${width} px`] = async () => {
    const page = await open({ width, theme });
    await press(page, "all");
    await edit(page, 6, "activation-blob", "dupSensitive");
    for (const number of [4, 6]) {
      await stage(page, number);
      await page.$eval("#messages [role=button]", (b) => b.click());
      await page.$$eval("details", (all) => all.forEach((d) => { d.open = true; }));
      await page.waitForFunction(() => document.querySelector("#messages table"), LONG);
      await accessible(page);
    }
    await page.screenshot({ path: path.join(BUILD, "lab", `lab-${width}-${theme}.png`), fullPage: true });
    await page.close();
  };
}

cases["nothing was complained of, and nothing but the page was asked for"] = async () => quiet([PAGE]);

run(cases);
