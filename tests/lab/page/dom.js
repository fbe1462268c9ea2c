/* SPDX-License-Identifier: MIT */
/* Elements: make("p.lead#x", {attribute: value, onclick: f}, child, child...). */
const make = (what, attributes = {}, ...children) => {
  const [, tag, rest] = what.match(/^(\w+)(.*)$/);
  const element = document.createElement(tag);
  for (const [, sign, name] of rest.matchAll(/([.#])([\w-]+)/g)) {
    if (sign === "#") element.id = name;
    else element.classList.add(name);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};

const button = (text, act, attributes = {}) => make("button", { type: "button", onclick: act, ...attributes }, text);
const by = (id) => document.getElementById(id);

/* "dps/device/device.c:build_load" leads to that function. */
const source = (name) => {
  const [path, called] = name.split(":");
  return make("a.src", { href: facts.links[name] }, `${path}:`, make("wbr"), called);
};
const explained = (anchor) => make("a", { href: `walkthrough.html#${anchor}` }, "In the walk-through");
const sources = (names) => (names || []).flatMap((name, i) => (i > 0 ? [", ", source(name)] : [source(name)]));
