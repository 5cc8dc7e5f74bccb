// A direct link between two pages: a WebRTC data channel, for which the shards only carry the offer,
// the answer and the candidates. No server is asked for addresses: this works within one network.

const OPEN_MS = 8_000;
/** Small enough for every browser. */
const CHUNK = 16 * 1024;
const MOST_BUFFERED = 1024 * 1024;

export class Link {
  /** Settles when the channel is open, or can't be opened. */
  opened;
  #id;
  #peer = new RTCPeerConnection({ iceServers: [] });
  #channel = null;
  #signal;
  #on;
  #candidates = [];
  #timer;
  #settle;
  #isOver = false;

  /**
   * `signal(signal)` passes something to the other page's link; `on.text(text)` and
   * `on.file({name, type, content})` take what comes; `on.closed()` tells once of the end.
   */
  constructor(id, signal, on) {
    this.#id = id;
    this.#signal = (what) => signal({ link: id, ...what });
    this.#on = on;
    this.opened = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.opened.catch(() => {});
    this.#timer = setTimeout(() => this.close(), OPEN_MS);
    this.#peer.onicecandidate = ({ candidate }) => candidate && this.#signal({ candidate: candidate.toJSON() });
    this.#peer.ondatachannel = ({ channel }) => this.#use(channel);
    this.#peer.onconnectionstatechange = () => {
      if (["failed", "closed"].includes(this.#peer.connectionState)) this.close();
    };
  }

  /** Offers a link to another page, by way of `signal`. */
  static offer(signal, on) {
    const link = new Link(crypto.randomUUID?.() ?? String(Math.random()), signal, on);
    link.#use(link.#peer.createDataChannel("trunkline"));
    link.#describe(() => link.#peer.createOffer());
    return link;
  }

  get id() {
    return this.#id;
  }

  get isOpen() {
    return this.#channel?.readyState === "open";
  }

  /** Takes what the other page's link has passed. */
  async take({ description, candidate }) {
    try {
      if (candidate) {
        // One that comes before the description can't be used yet.
        if (this.#peer.remoteDescription) await this.#peer.addIceCandidate(candidate);
        else this.#candidates.push(candidate);
      }
      if (!description || this.#peer.remoteDescription) return;
      await this.#peer.setRemoteDescription(description);
      for (const early of this.#candidates.splice(0)) await this.#peer.addIceCandidate(early);
      if (description.type === "offer") await this.#describe(() => this.#peer.createAnswer());
    } catch {
      this.close();
    }
  }

  send(text) {
    this.#channel.send(JSON.stringify({ text }));
  }

  /** Sends a file in pieces, as fast as the channel takes them. */
  async sendFile({ name, type, content }) {
    const channel = this.#channel;
    channel.send(JSON.stringify({ file: { name, type, size: content.byteLength } }));
    channel.bufferedAmountLowThreshold = MOST_BUFFERED / 2;
    for (let at = 0; at < content.byteLength; at += CHUNK) {
      if (channel.bufferedAmount > MOST_BUFFERED) await this.#drained(channel);
      channel.send(content.slice(at, at + CHUNK));
    }
  }

  close() {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#settle.reject(new Error("there is no direct way"));
    this.#peer.close();
    this.#on.closed();
  }

  async #describe(make) {
    try {
      await this.#peer.setLocalDescription(await make());
      this.#signal({ description: this.#peer.localDescription.toJSON() });
    } catch {
      this.close();
    }
  }

  #use(channel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onopen = () => {
      clearTimeout(this.#timer);
      this.#settle.resolve();
    };
    channel.onclose = () => this.close();
    let file = null;
    const finish = () => {
      if (file.got < file.size) return;
      this.#on.file?.({ name: file.name, type: file.type, content: new Blob(file.parts, { type: file.type }) });
      file = null;
    };
    channel.onmessage = ({ data }) => {
      if (typeof data !== "string") {
        if (!file) return;
        file.parts.push(data);
        file.got += data.byteLength;
        finish();
        return;
      }
      const said = JSON.parse(data);
      if (said.text !== undefined) this.#on.text?.(said.text);
      if (!said.file) return;
      file = { ...said.file, parts: [], got: 0 };
      finish();
    };
  }

  #drained(channel) {
    return new Promise((resolve, reject) => {
      channel.addEventListener("bufferedamountlow", resolve, { once: true });
      channel.addEventListener("close", () => reject(new Error("the direct way broke")), { once: true });
    });
  }
}
