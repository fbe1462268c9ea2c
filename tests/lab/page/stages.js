/* SPDX-License-Identifier: MIT */
/* The stages in a row, what was sent in the chosen one, and who has refused what. */
const stages = [
  ["EK", "The vendor reads the EK",
    "The TPM derives its endorsement key from a seed that it has for life. Only EK_pub comes out. Who knows it "
    + "can recognise this chip, and can encrypt to it; nothing more."],
  ["Enroll", "The vendor enrolls it",
    "The service is told: a device with this EK may come, and its name is boiler-7. Nothing secret is sent about "
    + "the device; the vendor proves his own right with a token."],
  ["Own", "The owner takes the TPM",
    "The present owner sets passwords. From another seed, which is his until TPM2_Clear, the TPM derives the "
    + "storage root key, the SRK."],
  ["Ask", "The device asks",
    "Registration ID, EK_pub and SRK_pub go to the service. So far the device has proved nothing: anybody could "
    + "send this."],
  ["Decide", "The service decides",
    "Is there an enrollment of this name, with this EK? Do the SRK's attributes say that it cannot leave a TPM? "
    + "If not, the story ends here."],
  ["Challenge", "The service challenges",
    "It makes a nonce and wraps it twice: inside with a random inner key, outside to the SRK. The inner key is "
    + "wrapped to the EK, bound to the SRK's Name. The six parts are one blob. Find it inside the answer; the list of "
    + "its fields numbers the parts. Change a byte of it."],
  ["Open", "The TPM opens it",
    "ActivateCredential: the EK gives out the inner key, if the SRK with that Name is loaded. Import: the SRK "
    + "takes off the outer wrap, the inner key the inner one, all inside the TPM. Load: the nonce is now a key, and"
    + " stays there."],
  ["Sign", "The TPM signs a token",
    "TPM2_HMAC signs a text with an expiry. So whoever has both keys in one TPM can answer, and nobody else."],
  ["Assign", "The service verifies and assigns",
    "It computes the same nonce again and compares. Then it names a hub, and wraps the hub's device key in the "
    + "same way; the device opens that, too, and keeps it for the next start, wrapped by its own TPM."],
  ["Send", "The device sends",
    "With the kept key, loaded again, the TPM signs a token for the hub. The hub takes the message."],
  ["After", "Afterwards",
    "What happens when all that is over. Some scenes have nothing here."],
];

let chosen = 1;

const mark = (number) => {
  const verdict = lab.verdict();
  if (verdict && verdict.stage === number) return ["refused", "refused"];
  if (lab.state.refusals.some((r) => r.stage === number && r.attacker)) return ["done", "done; an attack was refused"];
  if (lab.state.stage > number || (lab.state.over && lab.state.stage === number)) return ["done", "done"];
  return lab.state.stage === number ? ["begun", "begun"] : ["ahead", "not reached"];
};

const drawRow = () => {
  by("row").replaceChildren(...stages.map(([short], i) => {
    const [state, says] = mark(i + 1);
    const changed = lab.changes.some((c) => c.stage === i + 1);
    return make("li", {}, make(`button.stage.${state}`, { type: "button", "aria-current": chosen === i + 1 ? "step" : null,
      onclick: () => { chosen = i + 1; act(() => lab.run(i + 1)); } },
    make("b", {}, i < 10 ? `${i + 1}` : "…"), ` ${short}`, make("span.unseen", {}, `: ${says}`),
    changed ? make("span.mark", {}, " changed") : ""));
  }));
};

/* ---- Who noticed ---- */

const functionOf = (r) => {
  if (r.who === "TPM") return [facts.reached[r.reached] || facts.commands[r.command]];
  if (r.who === "device") return (facts.rows[r.what] || []).slice(1).filter(Boolean);
  return facts.refusals[r.code]?.functions || [];
};

const refusalText = (r) => {
  if (r.who === "TPM") {
    return [make("code", {}, r.command || "an unknown command"), " ends with ",
      make("code", {}, r.name || "an unknown code"),
      ` (0x${r.code.toString(16)}${r.about ? `, ${r.about}` : ""}). `, r.text || ""];
  }
  if (r.who === "device") {
    const error = facts.errors[r.code];
    return [make("code", {}, error?.name || `error ${r.code}`), `: ${error?.text || ""}, at “${r.what}”.`];
  }
  const detail = r.detail && ` ${r.detail.replace(/[^.]$/, "$&.")}`;
  return [make("code", {}, `${r.errorCode || r.status}`), `: ${r.text}${detail || ""}`];
};

const when = (stage) => (stage < 11 ? `Stage ${stage}` : "Afterwards");

/* An answer that somebody has changed on the way is not the TPM's own word. */
const isForged = (r) => r.who === "TPM" && lab.changes.some((c) => c.message === r.message);

const whereFrom = (r) => {
  if (isForged(r)) return [" So says an answer that you have changed."];
  return [functionOf(r).length > 1 ? " In one of " : " In ", ...sources(functionOf(r)), "."];
};

const refusalElement = (r) => make(`li${r.fatal ? ".fatal" : ""}`, {},
  make("b", {}, `${when(r.stage)}: the ${r.who} refuses`), r.attacker ? " the interposer" : "", ". ", ...refusalText(r),
  r.layer ? make("span.layer", {}, ` The layer: ${r.layer}.`) : "",
  make("span.where", {}, ...whereFrom(r)));

/* TPM2_ReadPublic only asks whether there is such a key. */
const worthTelling = () => lab.state.refusals.filter((r) => r.fatal || r.attacker || r.command !== "TPM2_ReadPublic");

const arrived = () => `The device belongs to ${lab.state.hub}, and its message has arrived.`;

const summary = () => {
  const verdict = lab.verdict();
  const s = lab.state;
  if (verdict) {
    const layer = verdict.layer ? ` The layer that noticed: ${verdict.layer}.` : "";
    return `${verdict.stage === 11 ? `${arrived()} ` : ""}${when(verdict.stage)}: the ${verdict.who} refuses.${layer}`;
  }
  if (!s.over) return s.stage === 0 ? "Nothing has happened yet." : `Stage ${s.stage}. Nobody has refused so far.`;
  if (!s.outcomes.at(-1)?.ok) return "This story is longer than the lab's memory. Begin again.";
  if (s.stolen.keys > 0) return `${arrived()} Nobody refuses, and the interposer has carried ${s.stolen.keys} keys out of the TPM.`;
  if (s.stolen.refused > 0) {
    const inner = s.stolen.innerKeys > 0 ? ` He has read ${s.stolen.innerKeys} inner keys, and no key.` : "";
    return `${arrived()} The TPM has refused the interposer ${s.stolen.refused} times.${inner}`;
  }
  if (s.secrets.length > 0) return `${arrived()} Nobody refuses; somebody has learned ${s.secrets.length} secrets.`;
  const onTheWay = worthTelling().length;
  if (onTheWay > 0) return `${arrived()} A refusal on the way did not stop the device.`;
  return `${arrived()} ${s.changes ? "Nobody noticed the change." : "Nobody refused."}`;
};

/* What was done at once is told at once. */
const changesText = () => [...new Set(lab.changes.map((c) => c.edit))].map((edit) => {
  const all = lab.changes.filter((c) => c.edit === edit);
  const offsets = all.map((c) => c.offset).sort((a, b) => a - b);
  return `stage ${all[0].stage}, ${all[0].what}, byte${all.length > 1 ? "s" : ""} ${ranges(offsets)}`;
}).join("; ");

/* A password can be read. */
const secretText = (hex) => {
  const text = toText(fromHex(hex));
  return /^[ -~]+$/.test(text) ? `“${text}”, ${hex}` : hex;
};

const drawVerdict = () => {
  by("summary").textContent = summary();
  by("summary").className = lab.verdict() ? "bad" : lab.state.over ? "good" : "";
  by("lesson").textContent = lab.state.over && lab.changes.length === 0 ? lab.scenes[lab.state.scene].lesson : "";
  by("refusals").replaceChildren(...worthTelling().map(refusalElement));
  by("changes").textContent = lab.changes.length === 0 ? "You have changed nothing." : `You have changed: ${changesText()}.`;
  by("undo").disabled = lab.changes.length === 0;
  const secrets = lab.state.secrets.map((one) => make("li", {}, make("b", {}, one.name), ` (${one.how}): `,
    make("code", {}, secretText(one.hex))));
  by("secrets").replaceChildren(...secrets);
  by("learned").hidden = secrets.length === 0;
};

/* ---- The chosen stage ---- */

const drawStage = () => {
  const [, title, text] = stages[chosen - 1];
  by("stage-title").textContent = `${chosen < 11 ? `${chosen} ` : ""}${title}`;
  by("stage-text").replaceChildren(text, " ", ...(chosen < 11 ? [explained(`step-${chosen}`)] : []));
  const numbers = lab.state.messages.map((m, i) => [m, i]).filter(([m]) => m.stage === chosen).map(([, i]) => i);
  const parts = [];
  for (const number of numbers) {
    const head = lab.state.messages[number];
    if (["tpm-command", "http-request"].includes(head.kind)) {
      const note = facts.notes[head.name];
      parts.push(make("h3", {}, head.name.split("?")[0], make("small", {}, head.what)), note ? make("p", {}, note) : "");
    }
    parts.push(...messageElements(number, change));
  }
  const reached = lab.state.stage >= chosen;
  const ahead = lab.state.over ? `The story has ended at stage ${lab.state.stage}, and this one was not reached.`
    : "Not reached yet. Choose the stage again to run up to it, or Run all.";
  by("messages").replaceChildren(...(numbers.length > 0 ? parts : [make("p", {}, reached
    ? "No message belongs to this stage: somebody thinks."
    : ahead)]));
  drawThings(reached);
};
