/* SPDX-License-Identifier: MIT */
/* The module: what tests/lab/lab.h offers, and what the page knows of what was changed. */
const lab = {
  module: null,
  wasm: null,
  scenes: [],
  state: null,
  reached: 0, // the last stage that was asked for
  changes: [], // as the module keeps them: { stage, what, message, view, offset, thing, edit }
  edits: 0, // how often somebody has changed something: an edit may be many bytes

  async start(base64) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    lab.module = await WebAssembly.compile(bytes);
    lab.wasm = (await WebAssembly.instantiate(lab.module, {})).exports;
    lab.scenes = JSON.parse(lab.text(lab.wasm.lab_scenes()));
    lab.reset(0);
  },

  text(length) {
    return new TextDecoder().decode(new Uint8Array(lab.wasm.memory.buffer, lab.wasm.lab_text(), length));
  },

  /* What somebody has at the beginning of a stage; nothing if it was not reached. */
  things(stage) {
    const length = lab.wasm.lab_things(stage);
    return length > 0 ? JSON.parse(lab.text(length)) : [];
  },

  look() {
    lab.state = JSON.parse(lab.text(lab.wasm.lab_state()));
    return lab.state;
  },

  reset(scene) {
    lab.changes = [];
    lab.reached = 0;
    lab.wasm.lab_reset(scene);
    return lab.look();
  },

  run(stage) {
    lab.reached = Math.max(lab.reached, stage);
    lab.wasm.lab_run(lab.reached);
    return lab.look();
  },

  step() {
    lab.wasm.lab_step();
    lab.wasm.lab_run(0); // what has ended is known to have ended
    lab.reached = Math.max(lab.reached, lab.look().stage);
    return lab.state;
  },

  /* The views of a message: what was sent, and what is inside it. Each has bytes and fields. */
  message(number) {
    const views = [];
    for (const line of lab.text(lab.wasm.lab_message(number)).trim().split("\n").map((l) => JSON.parse(l))) {
      if (line.kind === "view") {
        views.push({ view: line.view });
      } else if (line.kind === "bits") {
        const field = views.at(-1).fields.find((f) => f.offset === line.offset && f.name === line.name);
        if (field) field.bits = line.bits;
      } else if (line.kind === "secrets") {
        views[0].secrets = line.values;
      } else {
        Object.assign(views.at(-1), line, { bytes: fromHex(line.hex) });
      }
    }
    return views;
  },

  /* Bytes from an offset on; what follows runs again, as far as was asked for. Returns whether all could be set. */
  change(where, bytes, before, what) {
    let good = true;
    lab.edits += 1;
    bytes.forEach((value, i) => {
      if (!good || value === before[i]) return;
      const offset = where.offset + i;
      good = where.thing === undefined
        ? lab.wasm.lab_change_message(where.message, where.view, offset, value) !== 0
        : lab.wasm.lab_change_thing(where.thing, where.stage, offset, value) !== 0;
      if (good) lab.note({ ...where, offset, what, edit: lab.edits });
    });
    lab.run(where.stage);
    return good;
  },

  /* The module forgets later changes when an earlier one is made. */
  note(change) {
    lab.changes = lab.changes.filter((old) => old.stage <= change.stage && !lab.same(old, change)
      && !(old.message !== undefined && change.message !== undefined && old.message > change.message));
    lab.changes.push(change);
  },

  same: (a, b) => a.thing === b.thing && a.message === b.message && a.view === b.view && a.offset === b.offset
    && (a.thing === undefined || a.stage === b.stage),

  undo() {
    const edit = lab.changes.at(-1)?.edit;
    while (lab.changes.at(-1)?.edit === edit && lab.wasm.lab_undo()) lab.changes.pop();
    return lab.run(lab.reached);
  },

  /* The refusal that ended the story; of several the first. */
  verdict: () => lab.state.refusals.find((r) => r.fatal) || null,
};

const fromHex = (hex) => Uint8Array.from(hex.match(/../g) || [], (two) => parseInt(two, 16));
const toHex = (bytes, between = " ") => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join(between);

/* Bytes of HTTP and JSON are shown as text, one character a byte. */
const toText = (bytes) => String.fromCharCode(...bytes);
const fromText = (text) => (/[^\0-\xff]/.test(text) ? null : Uint8Array.from(text, (c) => c.charCodeAt(0)));
