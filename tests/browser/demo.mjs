// Drives the demo pages in a real browser, two windows each: `node demo.mjs http://127.0.0.1:8080`.
// Prints one line per fact and exits with 0, or says which one failed and exits with 1. CHROMIUM names
// another browser, SCREENSHOTS a folder for pictures of the pages.

import { createHash, randomBytes } from "node:crypto";
import { mustBe } from "../socketio/facts.mjs";
import { WIDE, complaints, open as openUrl, run } from "./window.mjs";

const url = process.argv[2];
if (!url) {
  console.error("usage: node demo.mjs URL");
  process.exit(1);
}

/** A name of this run alone: the service may have been used before. */
const own = (name) => `${name}-${process.pid.toString(36)}`;

const NARROW = { width: 400, height: 740 };

const open = (browser, name, path, ...rest) => openUrl(browser, name, new URL(path, url).href, ...rest);

/** One person at one window of a demo. */
class Person {
  constructor(name, page) {
    this.name = name;
    this.page = page;
  }

  static async arrive(browser, name, path) {
    const person = new Person(own(name), await open(browser, name, path));
    await person.at("name").fill(person.name);
    await person.at("enter").click();
    await person.at("status").filter({ hasText: "Connected" }).waitFor();
    return person;
  }

  at(id) {
    return this.page.getByTestId(id);
  }

  async say(text) {
    await this.at("text").fill(text);
    await this.at("text").press("Enter");
  }

  /** Waits for a message of this text, by this person, that went this way if one is named. */
  async hears(from, text, way) {
    const said = this.at("message-text").getByText(text, { exact: true });
    let message = this.page.locator(`[data-testid="message"][data-from="${from.name}"]`).filter({ has: said });
    if (way) message = message.filter({ has: this.page.locator(`[data-testid="way"][data-way="${way}"]`) });
    await message.waitFor();
  }

  async sees(id, text) {
    await this.at(id).filter({ hasText: text }).first().waitFor();
  }

  async seesNoMore(id, text) {
    await this.at(id).filter({ hasText: text }).waitFor({ state: "detached" });
  }

  /** The entry of this person in the list of people. */
  entry(person) {
    return this.page.locator(`[data-testid="person"][data-name="${person.name}"]`);
  }

  async join(room) {
    await this.at("join").fill(room);
    await this.at("join-go").click();
    await this.entry(this).waitFor();
  }

  /** Chooses a file for another person, who is in the same room. */
  async sendFile(to, file) {
    const chooser = this.page.waitForEvent("filechooser");
    await this.entry(to).getByTestId("send-file").click();
    await (await chooser).setFiles(file);
  }

  /** Waits for a file that came this way, and gives the digest of its content. */
  async gets(name, way) {
    const message = this.at("message").filter({ has: this.page.locator(`[data-testid="file-shown"][data-name="${name}"]`) });
    await message.locator(`[data-testid="way"][data-way="${way}"]`).waitFor();
    const download = this.page.waitForEvent("download");
    await message.getByRole("link").click();
    const parts = [];
    for await (const part of await (await download).createReadStream()) parts.push(part);
    return digest(Buffer.concat(parts));
  }

  async picture(name) {
    const folder = process.env.SCREENSHOTS;
    // What moves is shown where it comes to rest.
    if (folder) await this.page.screenshot({ path: `${folder}/${name}.png`, animations: "disabled" });
  }

  async leave() {
    await this.page.context().close();
  }
}

const digest = (content) => createHash("sha256").update(content).digest("hex");

/** Two people at the windows of one demo. */
async function pair(browser, path) {
  const alice = await Person.arrive(browser, "alice", path);
  const bob = await Person.arrive(browser, "bob", path);
  return { alice, bob };
}

const facts = {
  async "the chat page leads to the index, and that to the three demos"({ browser }) {
    const page = await open(browser, "index", "/");
    await new Person("index", page).picture("welcome");
    await page.getByTestId("demos").click();
    await page.getByTestId("demo-chat").waitFor();
    for (const demo of ["chat", "peer", "hybrid"]) {
      const link = await page.getByTestId(`demo-${demo}`).getAttribute("href");
      mustBe(link, `${demo}/`);
    }
    await new Person("index", page).picture("index");
    await page.getByTestId("demo-chat").click();
    await page.getByTestId("name").waitFor();
    await page.context().close();
  },

  async "chat: both hear each other, who types, and who comes and goes"({ browser }) {
    const { alice, bob } = await pair(browser, "/demo/chat/");
    await alice.sees("line", `${bob.name} joined`);
    await alice.say("hello everybody");
    for (const each of [alice, bob]) await each.hears(alice, "hello everybody");
    await bob.at("text").pressSequentially("let me think");
    await alice.sees("typing", `${bob.name} is typing`);
    await alice.picture("chat");
    await bob.at("text").fill("");
    await alice.seesNoMore("typing", bob.name);
    await bob.say("<img src=x onerror=alert(1)>");
    await alice.hears(bob, "<img src=x onerror=alert(1)>");
    mustBe(await alice.page.locator("#messages img").count(), 0);
    await bob.leave();
    await alice.sees("line", `${bob.name} left`);
    await alice.leave();
  },

  async "peer: the shards introduce, then messages go directly"({ browser }) {
    const { alice, bob } = await pair(browser, "/demo/peer/");
    await alice.at("start").fill(bob.name);
    await alice.at("start-go").click();
    await bob.sees("line", `${alice.name} has started a chat`);
    for (const each of [alice, bob]) await each.sees("line", "A direct channel is open");
    await alice.say("can you hear me?");
    await bob.hears(alice, "can you hear me?", "direct");
    await bob.say("directly");
    for (const each of [alice, bob]) await each.hears(bob, "directly", "direct");
    await alice.picture("peer");
    for (const each of [alice, bob]) await each.leave();
  },

  async "peer: where there is no direct way, messages go through the shards"({ browser }) {
    const bob = await Person.arrive(browser, "bob", "/demo/peer/");
    const carol = new Person(own("carol"), await open(browser, "carol", "/demo/peer/"));
    // A browser that opens no channel, as behind a firewall.
    await carol.page.addInitScript(() => {
      RTCPeerConnection.prototype.setRemoteDescription = () => Promise.reject(new Error("blocked"));
    });
    await carol.page.reload();
    await carol.at("name").fill(carol.name);
    await carol.at("enter").click();
    await carol.at("status").filter({ hasText: "Connected" }).waitFor();
    await carol.at("start").fill(bob.name);
    await carol.at("start-go").click();
    await carol.sees("line", "There is no direct channel");
    await carol.say("the long way, then");
    await bob.hears(carol, "the long way, then", "shards");
    await bob.sees("line", "There is no direct channel");
    await bob.say("it works as well");
    await carol.hears(bob, "it works as well", "shards");
    await carol.picture("peer-shards");
    for (const each of [bob, carol]) await each.leave();
  },

  async "hybrid: rooms go through the shards"({ browser, hybrid }) {
    Object.assign(hybrid, await pair(browser, "/demo/hybrid/"));
    const { alice, bob } = hybrid;
    const room = own("room");
    await alice.join(room);
    await bob.join(room);
    await alice.entry(bob).waitFor();
    await bob.entry(alice).waitFor();
    await alice.sees("line", `${bob.name} joined`);
    await alice.say("I have something for you");
    for (const each of [alice, bob]) await each.hears(alice, "I have something for you", "shards");
    await bob.at("text").pressSequentially("go");
    await alice.sees("typing", `${bob.name} is typing`);
  },

  async "hybrid: files go directly, whole"({ hybrid: { alice, bob } }) {
    for (const [name, size] of [["small.bin", 10], ["empty.bin", 0], ["large.bin", 3_000_000]]) {
      const buffer = randomBytes(size);
      await alice.sendFile(bob, { name, mimeType: "application/octet-stream", buffer });
      mustBe(await bob.gets(name, "direct"), digest(buffer));
    }
  },

  async "hybrid: where the direct way is closed, files go through the shards, whole"({ hybrid: { alice, bob } }) {
    await bob.at("no-direct").check();
    const buffer = randomBytes(100_000);
    await bob.sendFile(alice, { name: "around.bin", mimeType: "application/octet-stream", buffer });
    mustBe(await alice.gets("around.bin", "shards"), digest(buffer));
    await alice.picture("hybrid");
    await alice.at("text").fill("");
    await bob.at("leave").click();
    await alice.sees("line", `${bob.name} left`);
    for (const each of [alice, bob]) await each.leave();
  },

  async "the pages fit a narrow window"({ browser }) {
    for (const demo of ["", "chat/", "peer/", "hybrid/"]) {
      const page = await open(browser, "narrow", `/demo/${demo}`, NARROW);
      const person = new Person(own("narrow"), page);
      if (demo) {
        await person.at("name").fill(person.name);
        await person.at("enter").click();
        await page.locator("#open-sidebar").click();
        await person.at("status").filter({ hasText: "Connected" }).waitFor();
        await person.picture(`narrow-${demo.slice(0, -1)}`);
      } else await person.picture("narrow-index");
      mustBe(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      await page.context().close();
    }
  },

  async "without the client's library a page says what is wrong and what to do"({ browser }) {
    const library = "**/socket.io/socket.io.js";
    const elsewhere = { status: 302, headers: { location: "https://cdn.socket.io/4.8.1/socket.io.min.js" } };
    for (const [answer, said, size, name] of [
      [elsewhere, 'client = "', WIDE, "missing"],
      [elsewhere, "can't reach cdn.socket.io", NARROW, "narrow-missing"],
      [{ status: 404 }, "socketio.enabled", WIDE, "missing-off"],
    ]) {
      const prepare = (page) => page.route(library, (route) => route.fulfill(answer));
      const before = complaints.length;
      const page = await open(browser, "missing", "/demo/chat/", size, prepare);
      const person = new Person("missing", page);
      await person.sees("missing", said);
      await person.picture(name);
      mustBe(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      // The browser complains about what could not be loaded, and rightly so.
      complaints.length = before;
      await page.context().close();
    }
  },

  async "nothing was complained about on a console, nor refused by a page's policy"() {
    mustBe(complaints, []);
  },
};

await run(
  facts,
  (browser) => ({ browser, hybrid: {} }),
  // Pages are told no address of the machine but an mDNS name, which nobody answers in a headless one.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  // Whether the machine has internet must not matter.
  "--host-resolver-rules=MAP cdn.socket.io ~NOTFOUND",
);
