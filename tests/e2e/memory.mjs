// How much memory the background worker of Chromium holds, as the browser's own debugger counts it.

/**
 * @returns {Promise<number>} bytes of live JavaScript objects after a garbage collection. The module's linear memory is
 *   not counted: the only way to it from outside, a query of the heap's objects, crashes the browser now and then.
 */
export async function workerHeapBytes(browser) {
  const worker = await Inspector.attach(browser);
  await worker.ask("HeapProfiler.collectGarbage");
  const { usedSize } = await worker.ask("Runtime.getHeapUsage");
  await worker.detach();
  return usedSize;
}

/** Speaks to the worker by messages within messages: the driver opens no session of its own to one. */
class Inspector {
  #session;
  #sessionId;
  #lastId = 0;
  #waiting = new Map();

  static async attach({ context, extensionId }) {
    const inspector = new Inspector();
    const session = await context.browser().newBrowserCDPSession();
    const { targetInfos } = await session.send("Target.getTargets");
    const { targetId } = targetInfos.find(
      ({ type, url }) => type === "service_worker" && url.includes(extensionId),
    );
    session.on("Target.receivedMessageFromTarget", ({ message }) => inspector.#receive(JSON.parse(message)));
    const { sessionId } = await session.send("Target.attachToTarget", { targetId, flatten: false });
    inspector.#session = session;
    inspector.#sessionId = sessionId;
    return inspector;
  }

  async ask(method, params) {
    const id = ++this.#lastId;
    const answered = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    const message = JSON.stringify({ id, method, params });
    await this.#session.send("Target.sendMessageToTarget", { sessionId: this.#sessionId, message });
    return answered;
  }

  #receive({ id, result, error }) {
    const { resolve, reject } = this.#waiting.get(id) ?? {};
    if (error) reject?.(new Error(error.message));
    else resolve?.(result);
  }

  async detach() {
    await this.#session.detach();
  }
}
