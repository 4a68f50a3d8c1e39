// Takes one job after the other from the server. Each gets a worker of its own, which is as fast as a service worker; what
// needs more than a worker has (`chrome.storage`, the heap's size) gets a frame.
import { origin } from "./origin.mjs";

function inWorker(job) {
  const worker = new Worker("worker.mjs", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.result));
    worker.onerror = (event) => reject(new Error(`worker: ${event.message}`));
    worker.postMessage(job);
  }).finally(() => worker.terminate());
}

function inFrame(job) {
  const frame = document.createElement("iframe");
  return new Promise((resolve, reject) => {
    window.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.result));
    frame.src = `frame.html#${encodeURIComponent(JSON.stringify({ job }))}`;
    document.body.append(frame);
  }).finally(() => frame.remove());
}

for (;;) {
  const job = await (await fetch(`${origin}/bench/next`)).json();
  const outcome = { id: job.id };
  try {
    outcome.result = await (job.inFrame ? inFrame(job) : inWorker(job));
  } catch (error) {
    outcome.error = `${job.kind} ${job.contender ?? ""}: ${error.message}`;
  }
  await fetch(`${origin}/bench/done`, { method: "POST", body: JSON.stringify(outcome) });
}
