/* SPDX-License-Identifier: MIT */
/* The page: what its buttons do. */
const draw = () => {
  drawRow();
  drawVerdict();
  drawStage();
  drawExercises();
};

/* Do something to the lab, and show what came of it. The second is that nobody waits without being told. */
const act = (what) => {
  document.body.setAttribute("aria-busy", "true");
  what();
  document.body.removeAttribute("aria-busy");
  draw();
};

const change = (where, bytes, before, what) => {
  let whole = false;
  act(() => { whole = lab.change(where, bytes, before, what); });
  if (!whole) by("changes").append(" Not all of these bytes can be changed.");
  by("verdict").focus();
  by("verdict").scrollIntoView({ block: "nearest" });
};

/* From its beginning, or until a stage has been done. */
const chooseScene = (number, stage = 0) => {
  const { name, text } = lab.scenes[number];
  by("scene-text").replaceChildren(text, " ", explained(facts.chapters[name]));
  chosen = Math.max(stage, 1);
  act(() => {
    lab.reset(number);
    if (stage > 0) lab.run(stage);
  });
};

const begin = () => {
  by("scene").replaceChildren(...lab.scenes.map((scene, i) => make("option", { value: i }, scene.title)));
  by("scene").addEventListener("change", () => chooseScene(Number(by("scene").value)));
  by("all").addEventListener("click", () => {
    act(() => lab.run(11));
    chosen = Math.max(lab.state.stage, 1);
    draw();
  });
  by("next").addEventListener("click", () => {
    chosen = Math.min(lab.state.over ? lab.state.stage : lab.state.stage + 1, 11);
    act(() => lab.run(chosen));
  });
  by("one").addEventListener("click", () => {
    act(() => lab.step());
    chosen = Math.max(lab.state.stage, 1);
    draw();
  });
  by("again").addEventListener("click", () => chooseScene(Number(by("scene").value)));
  by("undo").addEventListener("click", () => act(() => lab.undo()));
  by("map-run").addEventListener("click", () => {
    if (map.running) {
      map.running = false;
    } else {
      by("map-run").textContent = "Stop";
      map.run();
    }
  });
  /* "#rogue" is that scene, "#rogue-6" that scene until its stage 6. Who comes back to it from a place on this page
     finds what he left. */
  let followed = "";
  const follow = () => {
    const [, name, stage] = location.hash.match(/^#([a-z-]*[a-z])(?:-(\d+))?$/) || [];
    const number = lab.scenes.findIndex((scene) => scene.name === name);
    if (number < 0) { /* a place on this page, or the way back from there */
      const place = location.hash && by(location.hash.slice(1));
      if (place && place.tagName === "DETAILS") place.open = true;
      return;
    }
    if (location.hash === followed) return;
    followed = location.hash;
    by("scene").value = number;
    chooseScene(number, Math.min(Number(stage || 0), 11));
  };
  addEventListener("hashchange", follow);
  chooseScene(0);
  follow();
};

lab.start(by("module").textContent.trim()).then(begin, (error) => {
  by("summary").textContent = `This browser cannot run the lab: ${error.message}`;
});
