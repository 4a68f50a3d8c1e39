import { origin } from "./origin.mjs";

export const BASE = `${origin}/api/v1`;
export const TOKEN = "the-bench-knows-no-secrets";

/** The body of a request, from the records' own texts. */
export const bodyOf = (visits, aggregates) =>
  `{"pageVisits":[${visits.join(",")}],"tabAggregates":[${aggregates.join(",")}]}`;

/** Sends a body, and believes the answer if its counts account for all records. */
export async function post(body, records) {
  const response = await fetch(`${BASE}/data/sync`, {
    method: "POST",
    credentials: "omit",
    cache: "no-store",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    body,
  });
  const { success, data } = await response.json();
  const stored = data.page_visits_synced + data.tab_aggregates_synced;
  if (!response.ok || !success || stored !== records) throw new Error("the server did not take a batch");
}

/** Sets the server's score to nothing. */
export async function begin(manner) {
  await fetch(`${origin}/bench/begin`, { method: "POST", body: JSON.stringify(manner) });
}

/** What the server has seen since. */
export async function score() {
  return (await fetch(`${origin}/bench/score`)).json();
}
