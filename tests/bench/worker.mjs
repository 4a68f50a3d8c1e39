import { run } from "./run.mjs";

self.onmessage = async ({ data: job }) => {
  try {
    self.postMessage({ result: await run(job) });
  } catch (error) {
    self.postMessage({ error: `${error.message} ${error.stack ?? ""}` });
  }
};
