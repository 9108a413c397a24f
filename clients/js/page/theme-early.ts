/** Runs in the page's head, before the first paint, so that a dark page does not flash white. */

import { isDark, storedChoice } from "./theme-choice.js";

document.documentElement.dataset["theme"] = isDark(storedChoice()) ? "dark" : "light";
