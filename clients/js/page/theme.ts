/** Owns the colour scheme: the system's, unless the toggle says otherwise. */

import { CHOICES, isDark, STORED, storedChoice, type Choice } from "./theme-choice.js";

const SAID: Record<Choice, string> = { system: "as the system", light: "light", dark: "dark" };

/** Follows the system and the button from now on; `changed` after each change. */
export function followTheme(button: HTMLButtonElement, changed: () => void): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let choice = storedChoice();
  const apply = (): void => {
    document.documentElement.dataset["theme"] = isDark(choice) ? "dark" : "light";
    button.setAttribute("aria-label", `Colours: ${SAID[choice]}`);
    button.title = `Colours: ${SAID[choice]}`;
    changed();
  };
  system.addEventListener("change", apply);
  button.addEventListener("click", () => {
    // From the system's own the first press must be seen to do something.
    const order: Choice[] = system.matches ? ["system", "light", "dark"] : ["system", "dark", "light"];
    choice = order[(order.indexOf(choice) + 1) % CHOICES.length]!;
    remember(choice);
    apply();
  });
  apply();
}

function remember(choice: Choice): void {
  try {
    localStorage.setItem(STORED, choice);
  } catch {
    // It then lasts as long as the page.
  }
}
