// A network that answers as it is told and remembers what was sent, and a listener that can be waited for.

const counted = (created) => ({
  page_visits_synced: created.pageVisits.length,
  tab_aggregates_synced: created.tabAggregates.length,
  ignored_records_count: 0,
  rejected_records_count: 0,
  created: created.pageVisits.length + created.tabAggregates.length,
  updated: 0,
});

const answers = {
  /** Stores everything and says so, as the reference server does. */
  counts: (call) => {
    if (call.url.endsWith("/data/erase")) return Response.json({ success: true, message: "Erased" });
    return Response.json({ success: true, data: counted(JSON.parse(call.body)) });
  },
  /** A redirect that is not followed shows status 0 and nothing else; so does an error response. */
  redirect: () => Response.error(),
  /** Acknowledges everything, and talks on: fifty megabytes, of which it notes how many are taken. */
  flood: (call) => {
    const words = { success: true, data: counted(JSON.parse(call.body)) };
    const beginning = new TextEncoder().encode(`${JSON.stringify(words)}\n`);
    const megabyte = new Uint8Array(1 << 20).fill(32);
    call.megabytes = 0;
    const body = new ReadableStream({
      start: (stream) => stream.enqueue(beginning),
      pull(stream) {
        if (call.megabytes >= 50) return stream.close();
        call.megabytes += 1;
        stream.enqueue(megabyte);
      },
      cancel: () => void (call.cancelled = true),
    });
    return new Response(body);
  },
  /** Never answers, but gives up when it is told to. */
  silence: (call, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        call.aborted = true;
        reject(signal.reason);
      });
    }),
};

const unpacked = (body) =>
  new Response(new Blob([body]).stream().pipeThrough(new DecompressionStream("gzip"))).text();

/** Stands in for `fetch` until `restore`. */
export class FakeNetwork {
  #calls = [];
  #real = globalThis.fetch;

  /** `abilities` is what the server says that it can do, as JSON; without it has no such route. */
  constructor(answer, abilities) {
    globalThis.fetch = async (url, { signal, headers, ...rest }) => {
      if (url.endsWith("/data/sync/capabilities"))
        return abilities && rest.method === "GET"
          ? new Response(abilities)
          : new Response("", { status: 404 });
      const call = { url, headers, ...rest };
      this.#calls.push(call);
      if (headers["Content-Encoding"] === "gzip") {
        call.bytes = call.body.length;
        call.body = await unpacked(call.body);
      }
      return answers[answer](call, signal);
    };
  }

  /** The uploads so far, as JSON; those that came compressed tell their `bytes`. */
  calls() {
    return JSON.stringify(this.#calls);
  }

  restore() {
    globalThis.fetch = this.#real;
  }
}

/** A listener whose calls can be waited for, one after another. */
export class Watch {
  #seen = [];
  #waiting = [];

  listener() {
    return (value) => {
      const waiting = this.#waiting.shift();
      if (waiting) waiting(value);
      else this.#seen.push(value);
    };
  }

  /** The next value that was not asked for yet. */
  async next() {
    if (this.#seen.length > 0) return this.#seen.shift();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The values that came so far and were not asked for. */
  seen() {
    return this.#seen;
  }
}

/** Notes the period of every interval that is begun, until `restore`. */
export class Intervals {
  #periods = [];
  #real = globalThis.setInterval;

  constructor() {
    globalThis.setInterval = (callback, period) => {
      this.#periods.push(period);
      return this.#real.call(globalThis, callback, period);
    };
  }

  periods() {
    return this.#periods;
  }

  restore() {
    globalThis.setInterval = this.#real;
  }
}
