// @ts-check
import { browser } from "../browser.js";
import { ask, part, say, whatIsWrong } from "../shared/page.js";
import { drawScene } from "../shared/scene.js";
import { translatePage, t } from "../shared/text.js";
import { follow } from "../snapshot.js";

/** @param {import("../snapshot.js").Snapshot} snapshot */
function show({ settings: { consent, answeredAt } }) {
  const { body } = document;
  body.dataset.answer = answeredAt === null ? "none" : consent ? "yes" : "no";
  body.dataset.scene = consent ? "safe" : "consent";
  body.style.setProperty("--voyage", consent ? "0.6" : "0");
  const told = { none: "", yes: t({ key: "answeredYes" }), no: t({ key: "answeredNo" }) };
  say(part("answer"), told[/** @type {"none" | "yes" | "no"} */ (body.dataset.answer)]);
  part("consent-yes").hidden = consent;
  part("consent-no").hidden = answeredAt !== null && !consent;
  say(part("consent-no"), t({ key: consent ? "consentTakeBack" : "consentNo" }));
  part("settings").hidden = answeredAt === null;
}

/** @param {import("../messages.js").Request} request */
async function command(request) {
  const { reply, problem } = await ask(request);
  if (problem) say(part("answer"), whatIsWrong(problem));
  else show(reply);
}

translatePage(document);
drawScene(/** @type {Element} */ (document.querySelector(".scene")));
part("consent-yes").addEventListener("click", () => {
  void command({ type: "setSettings", settings: { consent: true } });
});
part("consent-no").addEventListener("click", () => {
  void command({ type: "setSettings", settings: { consent: false } });
});
part("settings").addEventListener("click", () => void browser.runtime.openOptionsPage());
void follow(show);
void command({ type: "status" });
