// @ts-check

/**
 * Whether something waits for the user: a problem that only they can solve, records that the server refuses, or nearly
 * no room for what is to be kept.
 *
 * @param {Pick<import("./snapshot.js").Snapshot, "state" | "quarantined" | "room">} snapshot
 */
export function needsTheUser({ state, quarantined, room }) {
  const refused = quarantined.pageVisits + quarantined.tabAggregates > 0;
  return state === "error" || refused || room?.pressure === "nearlyNone";
}
