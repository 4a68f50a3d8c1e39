// @ts-check
import { part, say } from "./page.js";
import { t } from "./text.js";

/** Tells of the room that is left, where that is little. @param {import("./text.js").Text[] | null} texts how little, and what helps */
export function tellRoom(texts) {
  part("room").hidden = texts === null;
  const [left, help] = texts ?? [];
  if (left) say(part("room-left"), t(left));
  if (help) say(part("room-help"), t(help));
}
