/** Owns which colour scheme was chosen. */

export const STORED = "voxwire.theme";
export const CHOICES = ["system", "light", "dark"] as const;
export type Choice = (typeof CHOICES)[number];

/** What was chosen last time. */
export function storedChoice(): Choice {
  try {
    const value = localStorage.getItem(STORED) as Choice;
    return CHOICES.includes(value) ? value : "system";
  } catch {
    return "system"; // Storage can be forbidden.
  }
}

export function isDark(choice: Choice): boolean {
  return choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}
