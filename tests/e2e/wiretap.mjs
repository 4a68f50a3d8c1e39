// Everything that leaves a browser goes through here: a proxy that keeps each request, is every web site there is, and
// hands on what is for the backend.
import { EventEmitter, once } from "node:events";
import http from "node:http";
import { gunzipSync } from "node:zlib";

/** Emits the host of each request. */
export class Wiretap extends EventEmitter {
  #server;
  #port;
  #backend;

  /** Each request that was made, with its body as text: `{ url, host, headers, body }`. */
  heard = [];

  /** The address of a page visit which the backend is to refuse by name, or null. */
  refuses = null;

  /** What the backend is to answer instead of its own answer: a status, or null. */
  instead = null;

  static async begin(backend) {
    const tap = new Wiretap();
    tap.#backend = new URL(backend.origin);
    tap.#server = http.createServer((request, response) => void tap.#hear(request, response));
    // What is encrypted can't be read here; that it was asked for is kept.
    tap.#server.on("connect", (request, socket) => {
      tap.heard.push({
        url: `https://${request.url}/`,
        host: request.url,
        headers: request.headers,
        body: "",
      });
      socket.on("error", () => {});
      socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    });
    tap.#server.listen(0, "127.0.0.1");
    await once(tap.#server, "listening");
    return tap;
  }

  get port() {
    return this.#server.address().port;
  }

  /** The requests that no page of a site made for itself. */
  get fromTheExtension() {
    return this.heard.filter(
      ({ host, headers }) => host === this.#backend.host || headers.origin?.includes("-extension:"),
    );
  }

  /** Resolves with the next request to a host. */
  hears(host) {
    return once(this, host);
  }

  /** From now on nothing can be reached any more, as without a network. */
  async cutOff() {
    this.#port = this.port;
    const closed = once(this.#server, "close");
    this.end();
    await closed;
  }

  /** Ends that. */
  async connectAgain() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  end() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #hear(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const plain = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
    const { host } = new URL(request.url);
    this.heard.push({ url: request.url, host, headers: request.headers, body: plain.toString() });
    this.emit(host);
    if (host !== this.#backend.host)
      return response.writeHead(200, { "Content-Type": "text/html" }).end(page(request.url));
    if (this.instead !== null) return response.writeHead(this.instead).end();
    const refused = this.refuses && named(plain.toString(), this.refuses);
    if (refused) {
      const answer = { success: false, error: "Validation failed", failed_records: [refused] };
      return response.writeHead(400, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
    }
    const { pathname, search } = new URL(request.url);
    const { hostname, port } = this.#backend;
    const onward = http.request(
      { hostname, port, method: request.method, path: pathname + search, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    onward.end(raw);
  }
}

/** The page visit of an upload with this address, as a refusal names it. */
function named(body, url) {
  const { pageVisits = [] } = body ? JSON.parse(body) : {};
  const visit = pageVisits.find((record) => record.url === url);
  return visit && { id: visit.id, error: "the harbour master says no" };
}

/** A page whose title tells its address, and which is three screens long. */
function page(url) {
  const { host, pathname } = new URL(url);
  return `<!doctype html><title>${host}${pathname}</title><link rel="icon" href="data:,"><div style="height: 300vh">`;
}
