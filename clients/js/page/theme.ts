/** Owns the colour scheme: the system's, unless the user has chosen another by the button. */

import { CHOICES, isDark, STORAGE_KEY, storedChoice, type Choice } from "./theme-choice.js";

const LABELS: Record<Choice, string> = { system: "as the system", light: "light", dark: "dark" };

/** Applies the colour scheme of the system and the button from now on; `onChange` is called after each change. */
export function followTheme(button: HTMLButtonElement, onChange: () => void): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let choice = storedChoice();
  const apply = (): void => {
    document.documentElement.dataset["theme"] = isDark(choice) ? "dark" : "light";
    button.setAttribute("aria-label", `Colours: ${LABELS[choice]}`);
    button.title = `Colours: ${LABELS[choice]}`;
    onChange();
  };
  system.addEventListener("change", apply);
  button.addEventListener("click", () => {
    // The first press has to change the colours: after "system" comes the opposite of the system's scheme.
    const order: Choice[] = system.matches ? ["system", "light", "dark"] : ["system", "dark", "light"];
    choice = order[(order.indexOf(choice) + 1) % CHOICES.length]!;
    remember(choice);
    apply();
  });
  apply();
}

function remember(choice: Choice): void {
  try {
    localStorage.setItem(STORAGE_KEY, choice);
  } catch {
    // The browser may forbid storage; the choice then lasts as long as the page.
  }
}
