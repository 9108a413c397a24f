/** Owns the colour scheme: the system's, unless the toggle says otherwise. */

const STORED = "voxwire.theme";
type Choice = "system" | "light" | "dark";
const CHOICES: readonly Choice[] = ["system", "light", "dark"];
const SAID: Record<Choice, string> = { system: "as the system", light: "light", dark: "dark" };

/** Follows the system and the button from now on; `changed` after each change. */
export function followTheme(button: HTMLButtonElement, changed: () => void): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let choice = stored();
  const apply = (): void => {
    const dark = choice === "dark" || (choice === "system" && system.matches);
    document.documentElement.dataset["theme"] = dark ? "dark" : "light";
    button.setAttribute("aria-label", `Colours: ${SAID[choice]}`);
    button.title = `Colours: ${SAID[choice]}`;
    changed();
  };
  system.addEventListener("change", apply);
  button.addEventListener("click", () => {
    // From the system's own the first press must be seen to do something.
    const opposite: Choice = system.matches ? "light" : "dark";
    choice = choice === "system" ? opposite : choice === opposite ? (system.matches ? "dark" : "light") : "system";
    remember(choice);
    apply();
  });
  apply();
}

function stored(): Choice {
  try {
    const value = localStorage.getItem(STORED) as Choice;
    return CHOICES.includes(value) ? value : "system";
  } catch {
    return "system"; // Storage can be forbidden.
  }
}

function remember(choice: Choice): void {
  try {
    localStorage.setItem(STORED, choice);
  } catch {
    // It then lasts as long as the page.
  }
}
