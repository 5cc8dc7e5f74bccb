// Choosing a name. It is kept for this window only.

import { byId } from "./dom.js";
import { forget, load, save } from "./store.js";
import { nameProblem } from "./text.js";

/** The name of this window's user, asked for if there is none yet. */
export function name() {
  const known = load("name", "");
  if (known) return Promise.resolve(known);
  const input = byId("name");
  byId("welcome").hidden = false;
  input.focus();
  return new Promise((resolve) => {
    byId("name-form").onsubmit = (event) => {
      event.preventDefault();
      const chosen = input.value.trim();
      const problem = nameProblem(chosen);
      byId("name-problem").textContent = problem;
      if (problem) return;
      save("name", chosen);
      byId("welcome").hidden = true;
      resolve(chosen);
    };
  });
}

/** Forgets the name and all that was said under it, and begins anew. */
export function rename() {
  forget("name", "inbox", "directs");
  location.reload();
}
