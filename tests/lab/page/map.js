/* SPDX-License-Identifier: MIT */
/* Each byte of an activation blob is changed in turn, in a lab of its own, and coloured by who noticed. */
const map = { running: false };

const layerOf = (state) => {
  const refusal = state.refusals.find((r) => r.fatal);
  if (!refusal) return "nobody: nothing protects it";
  if (refusal.who === "device") return "its form: the device cannot read the blob";
  return refusal.layer || `${refusal.command}: ${refusal.name}`;
};

/* "0–3, 54" */
const ranges = (offsets) => {
  const parts = [];
  for (const at of offsets) {
    const last = parts.at(-1);
    if (last && last[1] === at - 1) last[1] = at;
    else parts.push([at, at]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(", ");
};

const drawMap = (layers, length) => {
  const names = [...new Set(layers.filter(Boolean))];
  const cells = Array.from({ length }, (_, i) => make(`span.cell.m${layers[i] ? names.indexOf(layers[i]) : "-none"}`,
    { title: `byte ${i}: ${layers[i] || "not yet"}` }));
  by("map-bytes").replaceChildren(...cells);
  by("map-legend").replaceChildren(...names.map((name, i) => {
    const offsets = layers.flatMap((layer, at) => (layer === name ? [at] : []));
    return make("tr", {}, make("td", {}, make(`span.cell.m${i}`)), make("th", { scope: "row" }, name),
      make("td", {}, `${offsets.length}`), make("td", {}, ranges(offsets)));
  }));
};

/* A few bytes, then the page may draw. */
map.run = async (step = 1) => {
  const wasm = (await WebAssembly.instantiate(lab.module, {})).exports;
  const text = (n) => new TextDecoder().decode(new Uint8Array(wasm.memory.buffer, wasm.lab_text(), n));
  wasm.lab_reset(0);
  wasm.lab_run(6);
  const answer = JSON.parse(text(wasm.lab_state())).messages.length - 1;
  const views = text(wasm.lab_message(answer)).trim().split("\n").map((l) => JSON.parse(l));
  const blob = fromHex(views.find((v) => v.kind === "activation-blob").hex);
  const layers = new Array(blob.length).fill(null);
  map.running = true;
  for (let at = 0; at < blob.length && map.running; at += step) {
    wasm.lab_change_message(answer, 4, at, blob[at] ^ 1);
    wasm.lab_run(7);
    layers[at] = layerOf(JSON.parse(text(wasm.lab_state())));
    wasm.lab_undo();
    wasm.lab_run(6);
    if (at % 20 < step) {
      drawMap(layers, blob.length);
      by("map-progress").textContent = `Byte ${at} of ${blob.length}.`;
      await new Promise((resolve) => { setTimeout(resolve, 0); });
    }
  }
  drawMap(layers, blob.length);
  by("map-progress").textContent = map.running ? "Done." : "Stopped.";
  map.running = false;
  by("map-run").textContent = "Compute the map";
  return layers;
};
