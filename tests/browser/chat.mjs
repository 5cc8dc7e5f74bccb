// Drives the chat page in a real browser, as two people would: `node chat.mjs http://127.0.0.1:8080`.
// Prints one line per fact and exits with 0, or says which one failed and exits with 1. It waits on
// what the page shows, and never for a time. CHROMIUM names another browser.

import { mustBe } from "../socketio/facts.mjs";
import { complaints, open, run } from "./window.mjs";

const url = process.argv[2];
if (!url) {
  console.error("usage: node chat.mjs URL");
  process.exit(1);
}

/** One person at one window. */
class Person {
  constructor(name, page) {
    this.name = name;
    this.page = page;
  }

  static async arrive(browser, name) {
    const person = new Person(name, await open(browser, name, url));
    await person.at("name").fill(name);
    await person.at("enter").click();
    await person.isOnline();
    return person;
  }

  at(id) {
    return this.page.getByTestId(id);
  }

  isOnline() {
    return this.at("status").filter({ hasText: "Connected" }).waitFor();
  }

  /** The entry of this name in one of the lists: `room`, `direct` or `person`. */
  entry(list, name) {
    return this.page.locator(`[data-testid="${list}"][data-name="${name}"]`);
  }

  async join(room) {
    await this.at("join").fill(room);
    await this.at("join-go").click();
    await this.entry("person", this.name).waitFor();
  }

  async say(text) {
    await this.at("text").fill(text);
    await this.at("text").press("Enter");
  }

  /** The messages of this text, by this person. */
  messages(from, text) {
    const said = this.at("message-text").getByText(text, { exact: true });
    return this.page.locator(`[data-testid="message"][data-from="${from}"]`).filter({ has: said });
  }

  async hears(from, text) {
    await this.messages(from, text).waitFor();
  }

  /** All that is said in the open conversation, in order. */
  transcript() {
    return this.at("message-text").allTextContents();
  }

  async sees(id, text) {
    await this.at(id).filter({ hasText: text }).first().waitFor();
  }

  async seesNoMore(id, text) {
    await this.at(id).filter({ hasText: text }).waitFor({ state: "detached" });
  }
}

const facts = {
  async "both see each other in a room"({ alice, bob, room }) {
    await alice.join(room);
    await bob.join(room);
    await alice.entry("person", "bob").waitFor();
    await bob.entry("person", "alice").waitFor();
    await alice.sees("line", "bob joined");
  },

  async "messages go both ways, in one order for both"({ alice, bob }) {
    await alice.say("hello bob");
    await bob.hears("alice", "hello bob");
    await bob.say("hello alice");
    await alice.hears("bob", "hello alice");
    mustBe(await alice.transcript(), ["hello bob", "hello alice"]);
    mustBe(await bob.transcript(), ["hello bob", "hello alice"]);
  },

  async "what is said is shown as text and never as markup"({ alice, bob }) {
    const text = "<img src=x onerror=alert(1)> & <b>bold</b>";
    await alice.say(text);
    await bob.hears("alice", text);
    mustBe(await bob.page.locator("#messages img, #messages b").count(), 0);
  },

  async "typing is shown, and gone when the message comes"({ alice, bob }) {
    await bob.at("text").pressSequentially("let me think");
    await alice.sees("typing", "bob is typing");
    await bob.at("text").press("Enter");
    await alice.hears("bob", "let me think");
    await alice.seesNoMore("typing", "bob");
  },

  async "typing is gone when somebody gives up"({ alice, bob }) {
    await bob.at("text").pressSequentially("n");
    await alice.sees("typing", "bob is typing");
    await bob.at("text").fill("");
    await alice.seesNoMore("typing", "bob");
  },

  async "a private message is delivered, and answered"({ alice, bob, room }) {
    await alice.entry("person", "bob").click();
    await alice.say("just for you");
    await alice.sees("delivery", "Delivered");
    await bob.entry("direct", "alice").getByTestId("unread").waitFor();
    mustBe(await bob.messages("alice", "just for you").count(), 0);
    await bob.entry("direct", "alice").click();
    await bob.hears("alice", "just for you");
    await bob.say("thank you");
    await alice.hears("bob", "thank you");
    await alice.entry("room", room).click();
    await bob.entry("room", room).click();
  },

  async "a private message to somebody who is away is queued, and waits for them"({ alice, carol, browser, room }) {
    await alice.at("write-to").fill(carol);
    await alice.at("write-to-go").click();
    await alice.say("read this later");
    await alice.sees("delivery", "Queued");
    const person = await Person.arrive(browser, carol);
    await person.entry("direct", "alice").click();
    await person.hears("alice", "read this later");
    await person.page.context().close();
    await alice.entry("room", room).click();
  },

  async "leaving and coming back is seen by the other"({ alice, bob, room }) {
    await bob.at("leave").click();
    await alice.sees("line", "bob left");
    await alice.entry("person", "bob").waitFor({ state: "detached" });
    await bob.join(room);
    await alice.entry("person", "bob").waitFor();
    await bob.hears("alice", "hello bob");
  },

  async "a reload brings back what was said, without repeats"({ alice, bob, room }) {
    const before = await alice.transcript();
    await alice.page.reload();
    await alice.isOnline();
    await alice.entry("room", room).click();
    await alice.hears("bob", "let me think");
    mustBe(await alice.transcript(), before);
    await bob.say("welcome back");
    await alice.hears("bob", "welcome back");
    mustBe(await alice.transcript(), [...before, "welcome back"]);
    await alice.entry("direct", "bob").click();
    await alice.hears("bob", "thank you");
    mustBe(await alice.transcript(), ["just for you", "thank you"]);
  },

  async "nothing was complained about on a console, nor refused by the page's policy"() {
    mustBe(complaints, []);
  },
};

await run(facts, async (browser) => {
  // A room and a third name of this run alone: the service may have been used before.
  const own = process.pid.toString(36);
  const alice = await Person.arrive(browser, "alice");
  const bob = await Person.arrive(browser, "bob");
  return { alice, bob, carol: `carol-${own}`, room: `room-${own}`, browser };
});
