// Facts that are proved one after the other, and what proving them needs: deadlines, comparisons,
// and ears that miss nothing. Nothing here waits for a time; all that is waited for has a deadline.

export const WAIT_MS = 15_000;

/** Waits for a promise, but not for ever. */
export function within(what, promise, ms = WAIT_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Waits until each of those who talk has said so many more things, and was told that they are kept. */
export async function more(talkers, count) {
  const said = talkers.map((talker) => talker.said.length);
  const has = (talker, index) => talker.said.length >= said[index] + count;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const all = async () => {
    while (!talkers.every(has)) await turn();
  };
  const silent = () => talkers.filter((talker, index) => !has(talker, index));
  await within("more to be said", all(), 2 * WAIT_MS).catch(() => {
    const about = silent().map(({ user, noticed, answered }) => ({ user, noticed, answered }));
    throw new Error(`they say no more: ${JSON.stringify(about)}`);
  });
}

export function mustBe(is, wanted, what = "it") {
  const [one, other] = [JSON.stringify(is), JSON.stringify(wanted)];
  if (one !== other) throw new Error(`${what} is ${brief(one)} and not ${brief(other)}`);
}

/** So much of a text as somebody reads. */
const brief = (text) => (text?.length > 1000 ? `${text.slice(0, 1000)}…` : text);

export function must(holds, what) {
  if (!holds) throw new Error(what);
}

/**
 * Proves facts in their order, prints a line for each, and stops at the first that does not hold:
 * they often follow on each other. Returns whether all hold.
 */
export async function prove(facts, world) {
  for (const [fact, holds] of Object.entries(facts)) {
    try {
      await within("the end of it", holds(world), 8 * WAIT_MS);
      console.log(`ok - ${fact}`);
    } catch (error) {
      console.log(`not ok - ${fact}\n${error.stack}`);
      return false;
    }
  }
  return true;
}

/** The URLs that the program was given, one per router, or an end with the usage. */
export function urlsGiven(words, usage) {
  const urls = words.filter((word) => /^https?:/.test(word)).map((url) => url.replace(/\/$/, ""));
  if (urls.length === 0) {
    console.error(`usage: node ${usage} URL…`);
    process.exit(1);
  }
  return urls;
}

/** Gives the URLs in turn, so that clients are spread over the routers. */
export function inTurn(urls) {
  let turn = 0;
  return () => urls[turn++ % urls.length];
}

/** A name that nobody has used before: the service may have been used by others. */
export function fresh(name) {
  return `${name}-${process.pid.toString(36)}-${(fresh.count = (fresh.count ?? 0) + 1)}`;
}
