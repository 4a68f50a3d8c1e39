// Stands between the extension and the backend: looks at every upload, and stops one at a chosen point on request.
import { EventEmitter, once } from "node:events";
import http from "node:http";
import { gunzipSync } from "node:zlib";

const UPLOAD = "/api/v1/data/sync";

/** Where an upload can be stopped. */
export const BEFORE_THE_REQUEST = "before the request";
export const IN_MID_BODY = "in mid-body";
export const BEFORE_THE_ANSWER = "after the commit, before the answer";

/**
 * Emits "stopped" when an upload stands still at the point that `stopNextAt` chose, and "signal" when somebody calls
 * `signalUrl`.
 */
export class Proxy extends EventEmitter {
  #stopAt = null;
  #server;
  #target;

  /** Every request that came whole: path, encoding, bytes on the wire and unpacked. */
  requests = [];

  /** The status with which a request for `path` is answered instead of by the backend, or null. */
  instead = (path, headers) => null;

  /** How far the clock is ahead by which the backend dates its answers, in milliseconds. */
  aheadMs = 0;

  /** Called with the parsed body and its size in bytes; the upload goes on to the backend when it is done. */
  onUpload = async () => {};

  static async start(backend) {
    const proxy = new Proxy();
    proxy.#target = new URL(backend.origin);
    proxy.#server = http.createServer((request, response) => proxy.#handle(request, response));
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get origin() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  get base() {
    return `${this.origin}/api/v1`;
  }

  get signalUrl() {
    return `${this.origin}/signal`;
  }

  /** The next upload stands still at `point` until its sender is gone. Resolves when it has got there. */
  stopNextAt(point) {
    this.#stopAt = point;
    return once(this, "stopped");
  }

  end() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #handle(request, response) {
    if (request.url === "/signal") {
      response.writeHead(204, { "Access-Control-Allow-Origin": "*" }).end();
      this.emit("signal");
      return;
    }
    const isUpload = request.method === "POST" && request.url === UPLOAD;
    const instead = this.instead(request.url, request.headers);
    if (instead !== null) return this.#passWhole(request, response.writeHead(instead, this.#dated({})));
    const stopAt = isUpload ? this.#stopAt : null;
    if (isUpload) this.#stopAt = null;
    if (stopAt === BEFORE_THE_REQUEST) {
      this.emit("stopped");
      return;
    }
    const { hostname, port } = this.#target;
    const { method, url: path, headers } = request;
    const onward = http.request({ hostname, port, method, path, headers });
    response.on("close", () => onward.destroy());
    onward.on("error", () => response.destroy());
    if (stopAt === IN_MID_BODY) this.#passHalf(request, onward);
    else this.#passWhole(request, onward);
    onward.on("response", (answer) => {
      collect(answer).then((body) => {
        if (stopAt === BEFORE_THE_ANSWER) this.emit("stopped");
        else response.writeHead(answer.statusCode, this.#dated(answer.headers)).end(body);
      }, response.destroy.bind(response));
    });
  }

  #dated(headers) {
    return { ...headers, date: new Date(Date.now() + this.aheadMs).toUTCString() };
  }

  #passHalf(request, onward) {
    const half = Math.floor(Number(request.headers["content-length"]) / 2);
    let passed = 0;
    request.on("data", (chunk) => {
      const part = chunk.subarray(0, half - passed);
      passed += part.length;
      onward.write(part);
      if (passed < half) return;
      request.pause();
      this.emit("stopped");
    });
    request.on("error", () => {});
  }

  async #passWhole(request, onward) {
    try {
      const body = await collect(request);
      const encoding = request.headers["content-encoding"];
      const plain = encoding === "gzip" ? gunzipSync(body) : body;
      this.requests.push({ path: request.url, encoding, bytes: body.length, plainBytes: plain.length });
      if (request.url === UPLOAD) {
        await this.onUpload(JSON.parse(plain.toString()), plain.length);
      }
      if (onward instanceof http.ServerResponse) onward.end();
      else onward.end(body);
    } catch (error) {
      onward.destroy(error);
    }
  }
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
