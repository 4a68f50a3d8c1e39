// @ts-check
import { ask, button, make, part, say, whatIsWrong } from "../shared/page.js";
import { day, number, t } from "../shared/text.js";
import { comparisonOf } from "./view.js";

/**
 * @typedef {import("../snapshot.js").Snapshot} Snapshot
 * @typedef {import("../../pkg/heyho_sync.js").Reconciliation} Reconciliation
 */

/** What was found last. @type {Reconciliation | undefined} */
let found;
/** @type {Snapshot | undefined} */
let status;

/** Draws what was found, and what waits now. @param {Snapshot} snapshot */
export function drawComparison(snapshot) {
  status = snapshot;
  if (!found) return;
  const { right, result, notes, days, here } = comparisonOf(found, snapshot);
  const said = part("compared");
  said.classList.toggle("wrong", !right);
  say(said, t(result));
  part("comparison-notes").replaceChildren(...notes.map((text) => make("li", t(text))));
  part("differences").hidden = days.length === 0;
  part("differences")
    .querySelector("tbody")
    ?.replaceChildren(
      ...days.map(({ day: of, counts, total }) => {
        const row = make("tr");
        const head = make("th", day(of));
        head.scope = "row";
        row.append(
          head,
          ...[counts.pageVisits, counts.tabAggregates, total].map((n) => make("td", number(n))),
        );
        return row;
      }),
    );
  button("send-missing").hidden = here === 0;
}

async function compare() {
  await occupied("compare", "comparing", async () => {
    const { reply, problem } = await ask({ type: "reconcile" });
    if (problem) return tell(whatIsWrong(problem));
    found = reply;
    if (status) drawComparison(status);
  });
}

async function sendMissing() {
  await occupied("send-missing", "syncing", async () => {
    const { problem } = await ask({ type: "sendMissing" });
    if (problem) tell(whatIsWrong(problem));
  });
  const { reply } = await ask({ type: "status" });
  if (reply?.settings) status = reply;
  await compare();
}

/** @param {string} words */
function tell(words) {
  part("compared").classList.add("wrong");
  say(part("compared"), words);
}

/** Shows that a button is at work, and takes no second click meanwhile. @param {string} testId @param {string} key @param {() => unknown} act */
async function occupied(testId, key, act) {
  const control = button(testId);
  const text = control.textContent ?? "";
  control.disabled = true;
  say(control, t({ key }));
  await act();
  say(control, text);
  control.disabled = false;
}

part("compare").addEventListener("click", () => void compare());
part("send-missing").addEventListener("click", () => void sendMissing());
