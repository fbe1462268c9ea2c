/* SPDX-License-Identifier: MIT */
/* What the TPM, the device and the service have, at the beginning of the chosen stage. */
const thingElement = (thing, number, stage) => {
  const bytes = fromHex(thing.hex);
  if (bytes.length === 0) return "";
  const where = { thing: number, stage, offset: 0 };
  const place = make("div.place");
  const clock = thing.kind === "clock";
  const seconds = () => new DataView(bytes.buffer).getBigUint64(0, true);
  const view = { kind: thing.kind === "words" ? "http-request" : "bytes", bytes };
  const open = () => {
    place.replaceChildren(clock ? clockEditor(where, bytes, seconds(), thing.name)
      : editor(where, view, { name: thing.name, offset: 0, len: bytes.length }, change));
    place.querySelector("input").focus();
  };
  const long = bytes.length > 24 ? ` … ${bytes.length} bytes` : "";
  const date = () => (seconds() > 0n ? new Date(Number(seconds()) * 1000).toISOString() : "none");
  const text = clock ? `${seconds()}, ${date()}` : thing.kind === "words" ? toText(bytes) : toHex(bytes.slice(0, 24)) + long;
  const changed = lab.changes.some((c) => c.thing === number && c.stage === stage);
  return make("li.thing", {}, make("b", {}, thing.name), changed ? make("strong.flip", {}, " changed") : "",
    ` ${thing.text} `,
    make("code", {}, text), " ", button(`Change`, open, { "aria-label": `Change: ${thing.name}` }), place);
};

const clockEditor = (where, before, now, name) => {
  const input = make("input", { id: "edit-clock", type: "text", inputmode: "numeric", value: `${now}` });
  const says = make("span.says", { role: "status" }, "Seconds since 1970.");
  const set = (value) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    change(where, bytes, before, name);
  };
  return make("form.editor", { onsubmit: (event) => {
    event.preventDefault();
    if (/^\d{1,12}$/.test(input.value)) set(BigInt(input.value));
    else says.textContent = "This is not a number of seconds.";
  } }, make("label", { for: "edit-clock" }, name), input, make("button", { type: "submit" }, "Change"),
  button("An hour later", () => set(now + 3600n)), button("None", () => set(0n)), says);
};

const drawThings = (reached) => {
  by("things-when").textContent = reached
    ? `As it is at the beginning of stage ${chosen}. When you change it, the story goes on from there.`
    : "Run the story up to this stage first.";
  const all = lab.things(chosen).map((thing, i) => thingElement(thing, i, chosen));
  by("things").replaceChildren(...all.filter(Boolean));
};
