// @ts-check
import { make } from "../shared/page.js";
import { number, t } from "../shared/text.js";

/**
 * A bar of shares with its legend, which says the same in words.
 *
 * @param {import("./view.js").Chart} chart
 */
export function chart({ title, shares }) {
  const drawn = make("figure");
  const bar = make("div", "", "bar");
  bar.setAttribute("aria-hidden", "true");
  const legend = make("ul", "", "legend");
  for (const { name, value, look } of shares) {
    if (value === 0) continue;
    const part = make("span", "", look);
    part.style.flexGrow = String(value);
    bar.append(part);
    const item = make("li", `${t(name)}: ${number(value)}`, look);
    legend.append(item);
  }
  drawn.append(make("figcaption", t(title)), bar, legend);
  return drawn;
}
