// What is shown of a message: people write text, but programs may publish any event.

/** The event that this page and the terminal client speak with. */
export const SAID = "chat message";

/** The event that passes while someone types. */
export const TYPING = "typing";

/** The text to show for a message of the server. */
export function shown({ event, data, args }) {
  const content = args ?? data;
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return event === SAID ? text : `${event}: ${text}`;
}

const TOO_OFTEN = "You are sending faster than the server allows. Wait a moment.";

/** What to tell people when a request failed. */
export function explained(failure) {
  switch (failure.code) {
    case "rate_limited": return TOO_OFTEN;
    case "timeout": return "The server doesn't answer. Try again in a moment.";
    case "unavailable": return "The server in charge can't be reached now. Try again in a moment.";
    case "too_many_rooms": return "You are in as many rooms as the server allows. Leave one first.";
    case "forbidden": return "You may not do that here.";
    default: return `That didn't work: ${failure.message}.`;
  }
}

/** What is wrong with a name for a user or room, or an empty string (PROTOCOL: 1 to 256 bytes). */
export function nameProblem(name) {
  if (name === "") return "Type a name first.";
  if (/\p{Cc}/u.test(name)) return "A name has no control characters.";
  if (name.startsWith("~")) return "A name can't begin with ~.";
  if (new TextEncoder().encode(name).length > 256) return "That name is too long.";
  return "";
}
