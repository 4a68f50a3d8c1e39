// How much memory the background worker of Chromium holds, as the browser's own debugger counts it.

/**
 * @returns {Promise<{ heapBytes: number, wasmBytes: number }>} live JavaScript objects after a garbage collection, and
 *   the module's linear memory, which never shrinks and so tells its peak
 */
export async function workerMemory(browser) {
  const worker = await Inspector.attach(browser);
  await worker.ask("HeapProfiler.collectGarbage");
  const { usedSize } = await worker.ask("Runtime.getHeapUsage");
  const prototype = await worker.ask("Runtime.evaluate", { expression: "WebAssembly.Memory.prototype" });
  const { objects } = await worker.ask("Runtime.queryObjects", {
    prototypeObjectId: prototype.result.objectId,
  });
  const { result } = await worker.ask("Runtime.callFunctionOn", {
    objectId: objects.objectId,
    functionDeclaration:
      "function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0); }",
    returnByValue: true,
  });
  await worker.detach();
  return { heapBytes: usedSize, wasmBytes: result.value };
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
