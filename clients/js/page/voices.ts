/** Owns the list of voices: fetches it, and fills a `<select>`, grouped by engine and language. */

export interface Voice {
  readonly name: string;
  readonly engine: string;
  readonly languages: readonly string[];
  readonly description?: string;
  readonly gender?: string;
  readonly sample_rate: number;
  readonly timing: "phoneme" | "none";
}

export interface Voices {
  readonly voices: readonly Voice[];
  readonly default: string | null;
}

/** A refused HTTP request, with the fields of the protocol's errors. */
export class HttpRefusal extends Error {
  readonly code: string;
  readonly hint: string;
  readonly retryAfterMs: number | null;

  constructor(status: number, fields: { code?: string; message?: string; hint?: string; retry_after_ms?: number }) {
    super(fields.message ?? `the server answered ${status}`);
    this.code = fields.code ?? "";
    this.hint = fields.hint ?? "";
    this.retryAfterMs = fields.retry_after_ms ?? null;
  }
}

/**
 * The JSON of the server's answer to an HTTP request.
 *
 * @throws HttpRefusal the status is no success. TypeError: the server can't be reached.
 */
export async function askServer<T>(path: string, apiKey: string, method: "GET" | "POST" = "GET"): Promise<T> {
  const answer = await fetch(path, { method, headers: apiKey === "" ? {} : { "X-API-Key": apiKey }, cache: "no-store" });
  const body = (await answer.json().catch(() => ({}))) as { error?: object };
  if (!answer.ok) throw new HttpRefusal(answer.status, body.error ?? {});
  return body as T;
}

/** Fills `select` with voices; selects `preferred`, else the one selected before, else the server's default. */
export function fillVoices(select: HTMLSelectElement, { voices, default: standard }: Voices, preferred: string): void {
  const groups = new Map<string, HTMLOptGroupElement>();
  const candidates = [preferred, select.value, standard ?? ""];
  const selected = candidates.find((name) => voices.some((voice) => voice.name === name));
  select.replaceChildren();
  for (const voice of voices) {
    const label = `${voice.engine} · ${voice.languages.map(languageName).join(", ")}`;
    let group = groups.get(label);
    if (group === undefined) {
      group = document.createElement("optgroup");
      group.label = label;
      groups.set(label, group);
      select.append(group);
    }
    const details = [voice.gender, voice.description].filter((each) => each !== undefined && each !== "").join(", ");
    group.append(new Option(details === "" ? voice.name : `${voice.name} (${shortened(details)})`, voice.name));
  }
  if (selected !== undefined) select.value = selected;
}

function languageName(tag: string): string {
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

function shortened(text: string): string {
  return text.length > 44 ? `${text.slice(0, 42).trimEnd()}…` : text;
}
