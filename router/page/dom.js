// Small help for building elements. Text only ever becomes text: nothing here parses HTML.

/** The element with this id, which index.html has. */
export function byId(id) {
  return document.getElementById(id);
}

/** Makes an element with properties (`class`, `data-*` and `aria-*` as attributes) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** A square with the initials of a user, in a colour that is always the same for the name. */
export function avatar(user) {
  const made = element("span", { "aria-hidden": "true" });
  setAvatar(made, user);
  return made;
}

export function setAvatar(made, user) {
  let hash = 7;
  for (const char of user) hash = (hash * 37 + char.codePointAt(0)) % 4093;
  const words = user.split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[1]].map((word) => [...word][0]) : [...user].slice(0, 2);
  made.className = `avatar tone-${hash % 8}`;
  made.textContent = letters.join("");
}
