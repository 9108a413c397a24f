/** Owns the access to the elements of index.html, by their ids. Throws where an id is missing or of another class. */

/** The element `id`, which must exist and be an instance of `type`. */
export function element<T extends Element>(id: string, type: abstract new (...args: never[]) => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return found;
}

export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);
export const input = (id: string): HTMLInputElement => element(id, HTMLInputElement);
export const select = (id: string): HTMLSelectElement => element(id, HTMLSelectElement);
export const part = (id: string): HTMLElement => element(id, HTMLElement);
