// What a reload must not lose, per window: sessionStorage, so that two windows can be two users.
// It may be forbidden or full; then the page works and a reload forgets.

const PREFIX = "trunkline.";

export function load(name, otherwise) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function save(name, value) {
  try {
    sessionStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // A reload will forget it.
  }
}

export function forget(...names) {
  try {
    for (const name of names) sessionStorage.removeItem(PREFIX + name);
  } catch {
    // There is nothing to forget.
  }
}
