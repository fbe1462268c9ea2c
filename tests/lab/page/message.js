/* SPDX-License-Identifier: MIT */
/* A message, as in the walk-through: its bytes in coloured fields, and what each field is. And what can be changed. */

/* What a field is, for its colour: the same rules as in tests/walkthrough/transcript.py, with its lists. */
const kindOf = (field, path, text) => {
  const names = new Set(path.map((p) => p.name).concat(field.name));
  const any = (list) => list.some((name) => names.has(name));
  if (text) {
    if (field.name === "authenticationKey") return "cipher";
    if (["Authorization", "sig", "operationId"].includes(field.name)) return "digest";
    if (["endorsementKey", "storageRootKey"].includes(field.name)) return "public";
    return (["JSON", "bytes"].includes(field.type) && field.len > 1) || ["sr", "se", "skn"].includes(field.name)
      ? "choice" : "frame";
  }
  if (facts.frame.includes(field.name) || field.type === "TPM_ST") return "frame";
  if (field.name === "size" || field.name === "count") return "size";
  if (field.type === "TPM_HANDLE") return "handle";
  if (field.type !== "BYTE") return "choice";
  if (path.some((p) => p.encrypted)) return "cipher";
  if (any(facts.secret)) return "secret";
  if (any(facts.cipher)) return "cipher";
  const parent = path.at(-1) || field;
  return ["digest", "name"].includes(field.name) || facts.digest.includes(parent.type) ? "digest" : "public";
};

const isText = (view) => ["http-request", "http-response", "sas-token"].includes(view.kind);

/* Each field with its path, its number among those that have bytes, and its kind. */
const withPaths = (view) => {
  const stack = [];
  let number = 0;
  return view.fields.map((field) => {
    stack.length = field.depth;
    const path = [...stack];
    stack.push(field);
    const leaf = field.leaf && field.len > 0;
    if (leaf) number += 1;
    const names = [...path.map((p) => p.name), field.name];
    const meaning = field.meaning || (isText(view) ? facts.httpMeanings : facts.tpmMeanings)[field.name];
    const alone = view.fields.filter((f) => f.leaf && f.name === field.name).length <= 1;
    const called = alone ? field.name : names.slice(-2).join(".");
    return { ...field, path: names.join("."), called, leaf, number, meaning, kind: kindOf(field, path, isText(view)) };
  });
};

const titles = { "tpm-command": "Command", "tpm-response": "Response", "http-request": "Request", "http-response": "Answer",
  "sas-token": "The SAS token in it", "activation-blob": "The activation blob in it", public: "The public key in it" };
const directions = { "tpm-command": "to the TPM", "tpm-response": "from the TPM", "http-request": "to the service",
  "http-response": "from the service" };

const bytesOf = (view, field) => view.bytes.slice(field.offset, field.offset + field.len);
const shown = (view, field) => {
  const bytes = bytesOf(view, field);
  return isText(view) ? toText(bytes).replaceAll("\r\n", "⏎\n") : toHex(bytes);
};

const valueOf = (field) => {
  if (field.valueName) return make("b", {}, field.valueName);
  if (field.value === undefined) return field.len > 8 ? `${field.len} bytes` : "";
  const bits = field.type.startsWith("TPMA_OBJECT");
  return make("b", {}, bits ? `0x${field.value.toString(16).padStart(8, "0")}` : `${field.value}`);
};

const row = (view, field) => {
  const meaning = [valueOf(field), valueOf(field) && field.meaning ? " · " : "", field.meaning || ""];
  const bit = (b) => make("li", {}, make("code", {}, b.name), ` ${b.meaning}`);
  const bits = field.bits && make("ul.bits", {}, ...field.bits.map(bit));
  const name = [make("span.name", { style: field.depth ? `--d:${field.depth}` : null }, field.name), " ",
    make("span.type", {}, field.type)];
  if (!field.leaf) {
    return make("tr.group", {}, make("td"), make("th", { scope: "rowgroup", colspan: 2 }, ...name),
      make("td", {}, ...meaning), make("td"));
  }
  const short = isText(view) ? shown(view, field).trim().slice(0, 36) : toHex(bytesOf(view, field).slice(0, 8));
  const more = field.len > 8 && !isText(view) ? " …" : "";
  return make(`tr.k-${field.kind}`, {}, make("td.n", {}, make("i", {}, `${field.number}`)),
    make("th", { scope: "row" }, ...name), make("td.v", {}, make("code", {}, short + more)), make("td", {}, ...meaning, bits),
    make("td", {}, field.spec ? make("span.spec", {}, field.spec) : ""));
};

const columns = { "№": "col.c1", Field: "col.c2", Bytes: "col.c3", "Value and meaning": "col", Where: "col.c5" };
const table = (view, fields) => make("table.fields", {},
  make("colgroup", {}, ...Object.values(columns).map((column) => make(column))),
  make("thead", {}, make("tr", {}, ...Object.keys(columns).map((title) => make("th", { scope: "col" }, title)))),
  make("tbody", {}, ...fields.map((field) => row(view, field))));

/* ---- Changing a field ---- */

const changedIn = (where) => lab.changes.filter((c) => c.message === where.message && c.view === where.view);

/* What opens under the bytes when a field is chosen. */
const editor = (where, view, field, done) => {
  const text = isText(view);
  const before = bytesOf(view, field);
  const id = `edit-${where.message ?? "t"}-${where.view ?? where.thing}`;
  const input = make("input", { id, type: "text", value: text ? JSON.stringify(toText(before)).slice(1, -1) : toHex(before),
    spellcheck: "false", autocomplete: "off", "aria-describedby": `${id}-says` });
  const says = make("span.says", { id: `${id}-says`, role: "status" }, `${before.length} bytes. ${field.meaning || ""}`);
  const read = () => {
    const digits = input.value.replace(/\s/g, "");
    if (!text) return /^[0-9a-f]*$/i.test(digits) && digits.length % 2 === 0 ? fromHex(digits) : null;
    try {
      return fromText(JSON.parse(`"${input.value}"`));
    } catch {
      return null;
    }
  };
  const wrong = (bytes) => (bytes ? `These are ${bytes.length} bytes, and not` : "These are not");
  const set = (bytes) => {
    if (!bytes || bytes.length !== before.length) {
      const how = text ? `. A quotation mark is written \\", a backslash \\\\, the end of a line \\r\\n` : " in hex";
      says.textContent = `${wrong(bytes)} ${before.length} bytes${how}.`;
    } else if (toHex(bytes) === toHex(before)) {
      says.textContent = "Nothing is changed.";
    } else {
      done({ ...where, offset: field.offset }, bytes, before, field.path || field.name);
    }
  };
  const flip = () => {
    const bytes = before.slice();
    bytes[bytes.length - 1] ^= 1;
    set(bytes);
  };
  return make("form.editor", { onsubmit: (event) => { event.preventDefault(); set(read()); } },
    make("label", { for: id }, `${field.number || ""} ${field.called || field.name} `,
      make("span.type", {}, field.type || "")), input,
    make("button", { type: "submit" }, "Change"), button("Flip the last bit", flip), says);
};

/* One field's bytes. The number stays with the first of them, wherever the line breaks. */
const leaf = (field, text, first, wrong, choose) => {
  const act = choose && (() => choose(field));
  const attributes = act ? { role: "button", tabindex: -1, onclick: act,
    "aria-label": `${field.number}, ${field.called}, ${field.len} bytes${wrong ? ", changed" : ""}`,
    onkeydown: (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act();
    } } : {};
  return make(`span.b.k-${field.kind}${wrong ? ".k-flip" : ""}`, { ...attributes, title: field.called, "data-n": field.number },
    make("i", { "data-n": field.number }, text.slice(0, first)), text.slice(first));
};

/* The fields of a message are one stop of the tab key; arrows lead from one to the next. */
const walk = (event) => {
  const all = [...event.currentTarget.querySelectorAll("[role=button]")];
  const at = all.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (at < 0 || to === undefined || !all[to]) return;
  event.preventDefault();
  all[at].setAttribute("tabindex", -1);
  all[to].setAttribute("tabindex", 0);
  all[to].focus();
};

const viewElement = (where, view, head, done) => {
  const fields = withPaths(view);
  const changed = changedIn(where);
  const place = make("div.place");
  const choose = (field) => {
    place.replaceChildren(editor(where, view, field, done));
    place.querySelector("input").focus();
  };
  const leaves = fields.filter((field) => field.leaf).flatMap((field) => {
    const wrong = changed.some((c) => c.offset >= field.offset && c.offset < field.offset + field.len);
    const [first, space] = isText(view) ? [1, ""] : [2, " "];
    return [leaf(field, shown(view, field), first, wrong, where.fixed ? null : choose), space];
  });
  const box = make(isText(view) ? "div.text" : "div.hex",
    { role: "group", "aria-label": "Bytes", onkeydown: walk }, ...leaves);
  box.querySelector("[tabindex]")?.setAttribute("tabindex", 0);
  const fold = make("details.fold", {}, make("summary", {}, `${fields.filter((f) => f.leaf).length} fields, one by one`));
  fold.addEventListener("toggle", () => {
    if (fold.open && !fold.querySelector("table")) fold.append(table(view, fields));
  });
  return make(`article.message.${view.kind}`, {}, head, view.sessions ? make("p.by", {}, view.sessions) : null,
    box, place, fold);
};

/* What a session of the device hides in this message, and the keys from which that follows. */
const hiddenElement = (values) => {
  if (values.length === 0) return null;
  const rows = values.map((v) => make("div", {}, make("dt", {}, make("b", {}, v.name), ` ${v.meaning}`),
    make("dd", {}, make("code", {}, v.hex || "empty"))));
  const hides = values.some((v) => v.name === "clear");
  return make("details.fold", {},
    make("summary", {}, hides ? "What the session hides, and with which keys" : "How the session's HMAC comes about"),
    make("dl.session", {}, ...rows));
};

/* A message of the story with all that is in it. done is called with a change. */
const messageElements = (number, done) => {
  const head = lab.state.messages[number];
  return lab.message(number).map((view) => {
    const refused = lab.state.refusals.find((r) => r.message === number && view.view === 0);
    const outcome = refused ? make("span.refused", {}, ` · ${refused.name || refused.errorCode || ""}`) : "";
    const who = head.attacker ? make("span.attacker", {}, " · the interposer's own") : "";
    const whole = view.view === 0;
    const title = make("h4", {}, `${whole ? head.name.split("?")[0] : titles[view.kind]} `,
      make("span.dir", {}, whole ? `${titles[view.kind]} ${directions[view.kind]}, ` : "", `${view.bytes.length} bytes`),
      outcome, who);
    const element = viewElement({ message: number, view: view.view, stage: head.stage, fixed: head.attacker }, view, title, done);
    element.append(...[hiddenElement(view.secrets || [])].filter(Boolean));
    return element;
  });
};
