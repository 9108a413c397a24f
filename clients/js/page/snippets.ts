/** Owns the snippets: code to copy, which uses this server from other programs. Pure, except for `SnippetTabs`. */

/** The values that a snippet is filled with. */
export interface SnippetValues {
  /** `http://host:port`, without a path. */
  readonly http: string;
  readonly voice: string;
  readonly codec: string;
  /** Whether the server requires an API key. */
  readonly keyed: boolean;
}

interface Snippet {
  readonly name: string;
  /** The file of the repository that has more about it. */
  readonly more: string;
  readonly code: (values: SnippetValues & { ws: string; key: string; q: (text: string) => string }) => string;
}

const SNIPPETS: readonly Snippet[] = [
  {
    name: "JavaScript",
    more: "clients/js/README.md",
    code: ({ ws, voice, codec, keyed, q }) =>
      `import { connect } from "voxwire";
import { Speaker } from "voxwire/playback";

const session = await connect(${q(`${ws}/v1/stream`)}${keyed ? ", {\n  token: () => tokenFromYourBackend(), // which asks POST /v1/tokens with its API key\n}" : ""});
const speaker = await Speaker.create();
const playback = speaker.play(session.speak("Hello there.", { voice: ${q(voice)}, codec: ${q(codec)}, timings: ["word", "viseme"] }));
playback.on("word", (word) => console.log(word.text)); // as it is heard
await playback.finished;`,
  },
  {
    name: "Python",
    more: "clients/python/README.md",
    code: ({ ws, voice, key, keyed, q }) =>
      `# pip install voxwire
import asyncio
from voxwire_client import Audio, connect


async def main():
    async with connect(${q(ws)}${keyed ? `, api_key=${q(key)}` : ""}) as session:
        async for event in session.speak("Hello there.", voice=${q(voice)}):
            if isinstance(event, Audio):
                print(event.pts, len(event.payload))  # 20 ms of 16-bit PCM


asyncio.run(main())`,
  },
  {
    name: "Command line",
    more: "README.md",
    code: ({ ws, voice, key, keyed, q }) =>
      `pip install 'voxwire[play]'
${keyed ? `export VOXWIRE_API_KEY=${key}\n` : ""}export VOXWIRE_URL=${ws}
voxwire say "Hello there." --voice ${q(voice)} --play
voxwire say "Hello there." --voice ${q(voice)} -o hello.wav`,
  },
  {
    name: "curl",
    more: "docs/compat/openai.md",
    code: ({ http, voice, key, keyed }) =>
      `curl ${http}/v1/audio/speech \\
${keyed ? `  -H "Authorization: Bearer ${key}" \\\n` : ""}  -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ model: "tts-1", voice, input: "Hello there.", response_format: "wav" }).replaceAll("'", "'\\''")}' \\
  -o hello.wav`,
  },
  {
    name: "OpenAI SDK",
    more: "docs/compat/openai.md",
    code: ({ http, voice, key, q }) =>
      `from openai import OpenAI

client = OpenAI(base_url=${q(`${http}/v1`)}, api_key=${q(key)})
with client.audio.speech.with_streaming_response.create(
    model="tts-1", voice=${q(voice)}, input="Hello there.", response_format="wav"
) as response:
    response.stream_to_file("hello.wav")`,
  },
  {
    name: "LiveKit",
    more: "docs/compat/elevenlabs.md",
    code: ({ http, voice, key, q }) =>
      `from livekit.plugins import elevenlabs

tts = elevenlabs.TTS(
    base_url=${q(`${http}/v1`)}, api_key=${q(key)}, voice_id=${q(voice)}, encoding="pcm_24000"
)`,
  },
  {
    name: "Pipecat",
    more: "docs/compat/cartesia.md",
    code: ({ ws, voice, key, q }) =>
      `from pipecat.services.cartesia.tts import CartesiaTTSService

tts = CartesiaTTSService(
    api_key=${q(key)},
    url=${q(`${ws}/tts/websocket`)},
    settings=CartesiaTTSService.Settings(voice=${q(voice)}),
)`,
  },
  {
    name: "Godot",
    more: "clients/godot/README.md",
    code: ({ ws, voice, keyed, q }) =>
      `# addons/voxwire is in the project, and switched on
extends Node

var client = VoxwireClient.new()


func _ready():
	client.url = ${q(ws)}
	client.voice = ${q(voice)}${keyed ? '\n\tclient.api_key = "vw_..."' : ""}
	client.connect("word", self, "_on_word")
	add_child(client)
	client.say("Hello there.")


func _process(_delta):
	var weights = client.mouth()  # 15 shapes, as heard now


func _on_word(text, _chars, _pts):
	print(text)`,
  },
  {
    name: "Unity",
    more: "clients/unity/README.md",
    code: ({ ws, voice, keyed, q }) =>
      `// Beside a Voxwire Speaker; a Voxwire Lip Sync on the same object moves the face.
using UnityEngine;
using Voxwire.Unity;

public class Talk : MonoBehaviour
{
    private async void Start()
    {
        var speaker = GetComponent<VoxwireSpeaker>();
        speaker.url = ${q(ws)};
        speaker.voice = ${q(voice)};${keyed ? '\n        speaker.apiKey = "vw_...";' : ""}
        speaker.OnWord += word => Debug.Log(word.Text); // as it is heard
        await speaker.SayAsync("Hello there.");
    }
}`,
  },
];

/** The names of the snippets, in order. */
export const SNIPPET_NAMES = SNIPPETS.map((each) => each.name);

/** The code of snippet `index`, with `values`. */
export function snippetCode(index: number, values: SnippetValues): string {
  const ws = values.http.replace(/^http/, "ws");
  return SNIPPETS[index]!.code({ ...values, ws, key: values.keyed ? "vw_..." : "none", q: JSON.stringify });
}

/** Tabs with one snippet each (the pattern of WAI-ARIA: arrows move, one tab is in the tab order), and a copy button. */
export class SnippetTabs {
  readonly #tabs: HTMLButtonElement[];
  readonly #code: HTMLElement;
  readonly #note: HTMLElement;
  readonly #panel: HTMLElement;
  #index = 0;
  #values: SnippetValues;

  constructor(parts: { tabs: HTMLElement; panel: HTMLElement; code: HTMLElement; note: HTMLElement; copy: HTMLButtonElement }, values: SnippetValues) {
    this.#code = parts.code;
    this.#note = parts.note;
    this.#panel = parts.panel;
    this.#values = values;
    this.#tabs = SNIPPETS.map((snippet, index) => this.#tab(snippet.name, index));
    parts.tabs.append(...this.#tabs);
    parts.tabs.addEventListener("keydown", (event) => this.#move(event));
    parts.copy.addEventListener("click", () => void this.#copy(parts.copy));
    this.#show();
  }

  /** Shows the snippets with other values. */
  fill(values: SnippetValues): void {
    this.#values = values;
    this.#show();
  }

  #tab(name: string, index: number): HTMLButtonElement {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${index}`;
    tab.textContent = name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", this.#panel.id);
    tab.addEventListener("click", () => {
      this.#index = index;
      this.#show();
    });
    return tab;
  }

  #move(event: KeyboardEvent): void {
    const last = this.#tabs.length - 1;
    const to = { ArrowRight: this.#index + 1, ArrowLeft: this.#index - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#index = (to + this.#tabs.length) % this.#tabs.length;
    this.#show();
    this.#tabs[this.#index]!.focus();
  }

  #show(): void {
    this.#tabs.forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === this.#index));
      tab.tabIndex = index === this.#index ? 0 : -1;
    });
    this.#panel.setAttribute("aria-labelledby", `tab-${this.#index}`);
    this.#code.textContent = snippetCode(this.#index, this.#values);
    const path = document.createElement("code");
    path.textContent = SNIPPETS[this.#index]!.more;
    this.#note.replaceChildren("More in ", path, " of the repository.");
  }

  async #copy(button: HTMLButtonElement): Promise<void> {
    const copied = await copyText(this.#code.textContent ?? "");
    button.textContent = copied ? "Copied" : "Select and copy by hand";
    setTimeout(() => (button.textContent = "Copy"), 1800);
  }
}

/** Copies `text` to the clipboard; returns whether it did. On pages that are no secure context, by `execCommand`. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
