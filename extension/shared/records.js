// @ts-check
import { make } from "./page.js";
import { moment, t } from "./text.js";

/**
 * Draws records, one below the other.
 *
 * @param {HTMLElement} place
 * @param {import("./record_view.js").RecordView[]} records
 * @param {(record: import("./record_view.js").RecordView) => HTMLButtonElement[]} [actions] what can be done with each
 */
export function drawRecords(place, records, actions) {
  const list = make("ul", "", "records");
  list.append(
    ...records.map((record) => {
      const item = make("li");
      const name = make("b", record.name);
      name.title = record.name;
      const story = record.story.map((text) => told(text)).join(" ");
      item.append(name, make("small", `${t(record.kind)} · ${story}`));
      if (record.words) item.append(make("small", t({ key: "serverSaid", values: [record.words] })));
      const controls = actions?.(record) ?? [];
      for (const control of controls)
        control.setAttribute("aria-label", `${control.textContent}: ${record.name}`);
      if (controls.length) {
        const row = make("div", "", "actions");
        row.append(...controls);
        item.append(row);
      }
      return item;
    }),
  );
  place.replaceChildren(...(records.length ? [list] : []));
}

/** @param {import("./text.js").Text} text */
function told(text) {
  return t(text.moment === undefined ? text : { ...text, values: [moment(text.moment)] });
}
