/* SPDX-License-Identifier: MIT */
/* Twelve exercises, in rising order. Each is judged by what has happened, however it was brought about. */
const scene = () => lab.scenes[lab.state.scene].name;
const undisturbed = () => scene() === "ordinary";
const ended = (who, stage) => {
  const v = lab.verdict();
  return undisturbed() && v && v.who === who && (stage === undefined || v.stage === stage) ? v : null;
};
const changedOnly = (test) => lab.changes.length > 0 && lab.changes.every(test);
const inView = (view) => (c) => c.view === view;
const inBlob = inView(4);
/* The EK in a request, the seed it comes from, or the TPM's word for it. */
const ofEk = (c) => c.view === 1 || /endorsement|EK's/.test(c.what)
  || /endorsement key/.test(lab.state.messages[c.message]?.what);

const exercises = [
  { task: "Let the device register and send its message, and change nothing.",
    hint: "Run all, in the first scene.", answer: "Ten stages, and nobody refuses.",
    solved: () => undisturbed() && lab.state.over && lab.changes.length === 0 && !lab.verdict() },
  { task: "Change one byte so that the service refuses at stage 5.",
    hint: "Stage 4 has the request. What does the service compare?",
    answer: "For example a byte at the end of endorsementKey: the key is then not the enrolled one.",
    solved: () => ended("service", 5) },
  { task: "Make the service refuse at stage 5 without touching the EK.",
    hint: "The SRK's attributes, the names, or what was enrolled.",
    answer: "For example objectAttributes in the storageRootKey: without fixedTPM the key could leave.",
    solved: () => ended("service", 5) && changedOnly((c) => !ofEk(c)) },
  { task: "Change one byte of the challenge so that the EK's OAEP padding notices.",
    hint: "The blob is inside the answer of stage 6. Which part is the seed that is encrypted to the EK?",
    answer: "Any byte of part 2, secret, but its size. RSA decrypts it to noise, and the padding is wrong.",
    solved: () => ended("TPM", 7)?.layer === "the EK's OAEP padding" && changedOnly(inBlob) },
  { task: "Let the TPM give out the inner key, and then refuse to import the nonce.",
    hint: "Parts 1 and 2 of the blob are for the EK. What is left is for the SRK.",
    answer: "A byte of dupSensitive in part 3, of the secret in part 4, or of unique.buffer in part 5. "
      + "ActivateCredential does not see them, Import does. Wrong sizes, and another kind of key, the device refuses.",
    solved: () => ended("TPM", 7)?.command === "TPM2_Import" },
  { task: "Change a byte of the blob that nobody misses.",
    hint: "Which part is not protected by either wrap? The map knows.",
    answer: "Part 6, encUriData, but its size: nothing protects it, and the device does not use it.",
    solved: () => undisturbed() && lab.state.over && !lab.verdict() && changedOnly(inBlob) },
  { task: "Let the TPM open everything and sign, and have the service refuse at stage 9.",
    hint: "The token is in the request of stage 8.",
    answer: "A character of sig, of se or of sr: the service computes the HMAC over what it reads.",
    solved: () => ended("service", 9) },
  { task: "The same with a clock alone, and no message touched.",
    hint: "The token has an expiry, and a nonce is valid for a few minutes.",
    answer: "Set the service's clock an hour later at the beginning of stage 8. Or the device's clock to 1 at that of "
      + "stage 7: at stage 8 the device has read it already.",
    solved: () => ended("service", 9) && changedOnly((c) => c.thing !== undefined && /clock/.test(c.what)) },
  { task: "Make the device itself give up, while TPM and service have refused nothing.",
    hint: "The device reads the blob before the TPM sees it. Sizes.",
    answer: "The first byte of the blob: the sizes do not add up, and the device sends nothing to the TPM.",
    solved: () => undisturbed() && lab.verdict()?.who === "device" },
  { task: "Change a key of the service, so that it refuses a right token.",
    hint: "From what does it compute the nonce again?",
    answer: "A byte of the service's secret, at the beginning of stage 8: it computes another nonce than it has wrapped.",
    solved: () => ended("service", 9) && changedOnly((c) => c.thing !== undefined && /service's secret/.test(c.what)) },
  { task: "Show that after TPM2_Clear the old hub key is dead, and the device is recognised all the same.",
    hint: "There is a scene for it. Who refuses the kept key, and which layer?",
    answer: "Scene Resale: TPM2_Load finds a wrong HMAC, since the storage seed is another one; the EK is the same.",
    solved: () => scene() === "resale" && lab.state.over && lab.state.outcomes.at(-1).ok
      && lab.state.refusals.some((r) => r.command === "TPM2_Load" && r.fatal) },
  { task: "Let an interposer have the inner key, act, and still not get the key.",
    hint: "TPM2_Rewrap takes off the outer wrap. With which SRK can it not?",
    answer: "Scene One command too many, in vain: the hardened SRK allows Import and Load, so the TPM refuses Rewrap.",
    solved: () => lab.state.over && lab.state.stolen.innerKeys > 0 && lab.state.stolen.keys === 0
      && lab.state.stolen.refused > 0 },
];

const fold = (title, text) => make("details", {}, make("summary", {}, title), make("p", {}, text));
const solvedOnce = new Set();

const drawExercises = () => {
  exercises.forEach((one, i) => { if (one.solved()) solvedOnce.add(i); });
  if (by("exercise-list").children.length === 0) {
    by("exercise-list").append(...exercises.map((one, i) => make("li", { id: `exercise-${i + 1}` },
      make("span.task", {}, one.task), " ", make("span.mark"),
      make("div", {}, fold("A hint", one.hint), fold("An answer", one.answer)))));
  }
  exercises.forEach((_, i) => {
    by(`exercise-${i + 1}`).querySelector(".mark").textContent = solvedOnce.has(i) ? "✓ solved" : "";
  });
  by("exercise-count").textContent = `${solvedOnce.size} of ${exercises.length} solved.`;
};
