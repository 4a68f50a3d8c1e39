// @ts-check

/**
 * Whether something waits for the user: a problem that only they can solve, or records that the server refuses.
 *
 * @param {Pick<import("../pkg/heyho_sync.js").Status, "state" | "quarantined">} status
 */
export function needsTheUser({ state, quarantined }) {
  return state === "error" || quarantined.pageVisits + quarantined.tabAggregates > 0;
}
