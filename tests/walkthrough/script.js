/* SPDX-License-Identifier: MIT */
"use strict";
(() => {
  const folds = [...document.querySelectorAll("details[data-fold]")];
  const wide = matchMedia("(min-width: 64rem)");

  /* An explanation is folded until it is wanted: by its summary, by a click on a byte, by a link to it. */
  const reveal = (element) => {
    for (let at = element; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
  };
  const follow = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) {
      reveal(target);
      target.scrollIntoView({ block: target.matches("tr, .thread") ? "center" : "start" });
    }
  };
  const setAll = (within, open) => folds.forEach((fold) => { if (within.contains(fold)) fold.open = open; });
  folds.forEach((fold) => { fold.open = fold.hasAttribute("data-keep"); });
  document.querySelector(".toc").open = wide.matches;
  wide.addEventListener("change", () => { document.querySelector(".toc").open = wide.matches; });
  addEventListener("hashchange", follow);
  addEventListener("beforeprint", () => setAll(document.body, true));

  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", () => act(made));
    return made;
  };
  document.querySelectorAll(".chapter").forEach((chapter) => {
    if (!chapter.querySelector("details[data-fold]")) return;
    const tools = document.createElement("div");
    tools.className = "tools";
    tools.append(button("Open all explanations", () => setAll(chapter, true)),
      button("Close them", () => setAll(chapter, false)));
    chapter.querySelector(".lead").after(tools);
  });
  document.querySelectorAll(".shell").forEach((shell) => {
    shell.before(button("Copy", async (made) => {
      try {
        await navigator.clipboard.writeText(shell.textContent);
        made.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(shell);
      }
    }));
  });

  /* Under the bytes: what the pointer is on. */
  document.querySelectorAll(".message").forEach((message, index) => {
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.textContent = index === 0 ? "Point at a byte to see what it is; choose it to read more." : "";
    message.querySelector(".hex, .text").after(readout);
    const show = (event) => {
      const leaf = event.target.closest(".b");
      if (!leaf) return;
      const row = document.getElementById(leaf.hash.slice(1));
      message.querySelectorAll(".on").forEach((old) => old.classList.remove("on"));
      message.querySelectorAll(`.b[data-n="${leaf.dataset.n}"]`).forEach((same) => same.classList.add("on"));
      row.classList.add("on");
      const name = document.createElement("b");
      name.textContent = `${leaf.dataset.n} ${row.querySelector(".name").textContent}`;
      const meaning = row.children[3].cloneNode(true);
      meaning.querySelectorAll(".bits, .thread").forEach((part) => part.remove());
      readout.replaceChildren(name, " ", row.querySelector(".type").textContent, ": ", meaning.textContent);
    };
    message.addEventListener("pointerover", show);
    message.addEventListener("focusin", show);
  });

  /* Where the reader is. */
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll(".chapter").forEach((chapter) => seen.observe(chapter));
  follow();
})();
