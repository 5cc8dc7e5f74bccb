// How long to wait before connecting again: growing, so that a dead service is left in peace, and
// jittered, so that a thousand pages that lost it together don't come back together.

const FIRST_MS = 500;
const LONGEST_MS = 20_000;

/** The pause before attempt 1, 2, …: between half and all of a doubling span. */
export function pauseMs(attempt) {
  const span = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1));
  return span * (0.5 + Math.random() / 2);
}
