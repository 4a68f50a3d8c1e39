/** Does a job of `jobs/`, by the name of its kind. */
export async function run(job) {
  const { default: work } = await import(`./jobs/${job.kind}.mjs`);
  return work(job);
}
