import { run } from "./run.mjs";

const { job } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
run(job).then(
  (result) => parent.postMessage({ result }, location.origin),
  ({ message, stack }) => parent.postMessage({ error: `${message} ${stack}` }, location.origin),
);
