// Answers that the core judges (the tests of src/decisions/verdict.rs), judged by the kit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { doubt } from "../../scripts/conformance/server.mjs";

/** What the kit says against this answer to the visits a and b and the aggregate c. */
function doubted(body, { status = 200, countsExpected = false } = {}) {
  let json = null;
  try {
    const value = JSON.parse(body);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) json = value;
  } catch {
    // As it is.
  }
  const sent = { visits: ["a", "b"], aggregates: ["c"] };
  return doubt({ status, json, isEmpty: body.trim() === "", sent, countsExpected });
}

const counts = (visits, aggregates, ignored, rejected, validation_errors = []) =>
  JSON.stringify({
    success: true,
    data: {
      page_visits_synced: visits,
      tab_aggregates_synced: aggregates,
      ignored_records_count: ignored,
      rejected_records_count: rejected,
      validation_errors,
    },
  });

test("counts that account for every record acknowledge them", () => {
  for (const body of [counts(2, 1, 0, 0), counts(1, 0, 2, 0)]) assert.equal(doubted(body), null, body);
});

test("counts that fall short, exceed, or can't be are doubted", () => {
  const visit = { record_id: "b", record_type: "page_visit" };
  for (const body of [
    counts(2, 0, 0, 0),
    counts(2, 2, 0, 0),
    counts(3, 0, 0, 0),
    counts(2, 0, 0, 1),
    counts(2, 0, 0, 1, [visit]),
    counts(1, 1, 0, 1, [{ record_id: "z" }]),
    counts(1, 1, 0, 1, [{ record_id: "b", record_type: "tab_aggregate" }]),
    '{"success":true,"data":{"rejected_records_count":3}}',
    '{"success":true,"data":{"page_visits_synced":"3"}}',
  ]) {
    assert.match(doubted(body) ?? "believed", /^200/, body);
  }
  assert.equal(doubted(counts(1, 1, 0, 1, [visit])), "200, but it rejects 1 of the records");
});

test("a 200 without counts acknowledges unless counts were given before", () => {
  for (const body of ["", "  ", "{}", '{"success":true}', '{"error":false,"errors":[]}']) {
    assert.equal(doubted(body), null, body);
    assert.equal(doubted(body, { countsExpected: true }), "200 without the counts that it gave before", body);
  }
});

test("a 200 that denies, complains, or is no JSON object confirms nothing", () => {
  for (const body of [
    '{"success":false}',
    '{"success":0}',
    '{"error":"x"}',
    '{"errors":{"a":1}}',
    '{"success":true,"data":{"errors":["x"]}}',
    '{"success":true,"failed_records":[{"message":"bad"}]}',
    '{"success":true,"failed_records":["a",{"message":"bad"}]}',
    '{"success":true,"failed_records":["z"]}',
    "<html></html>",
    "[]",
    "ok",
  ]) {
    assert.match(doubted(body) ?? "believed", /^200/, body);
  }
  for (const status of [201, 204, 302, 401, 500]) assert.equal(doubted("", { status }), `answered ${status}`);
});
