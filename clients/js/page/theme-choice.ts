/** Owns the stored choice of a colour scheme; apart from theme.ts, so that the script in the page's head stays small. */

export const STORAGE_KEY = "voxwire.theme";
export const CHOICES = ["system", "light", "dark"] as const;
export type Choice = (typeof CHOICES)[number];

/** The choice of the last visit. */
export function storedChoice(): Choice {
  try {
    const value = localStorage.getItem(STORAGE_KEY) as Choice;
    return CHOICES.includes(value) ? value : "system";
  } catch {
    return "system"; // The browser may forbid storage.
  }
}

export function isDark(choice: Choice): boolean {
  return choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}
