/** Runs before anything is drawn, so that a dark page does not begin with a flash of light. */

import { isDark, storedChoice } from "./theme-choice.js";

document.documentElement.dataset["theme"] = isDark(storedChoice()) ? "dark" : "light";
