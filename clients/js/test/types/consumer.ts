/** Uses the published types as a strict program does; compiled, and never run. */

import {
  connect,
  ConnectionLost,
  type Context,
  MouthTrack,
  type Session,
  type SpeechEvent,
  type Utterance,
  VoxwireError,
} from "voxwire";

type IsAny<T> = 0 extends 1 & T ? true : false;
type Not<T extends false> = T;
export type NothingIsAny = [
  Not<IsAny<SpeechEvent>>,
  Not<IsAny<Awaited<ReturnType<Utterance["cancel"]>>["heard"]>>,
  Not<IsAny<VoxwireError["details"][string]>>,
  Not<IsAny<Parameters<Session["speak"]>[0]>>,
];

const track = new MouthTrack();

function heard(event: SpeechEvent): number {
  switch (event.type) {
    case "audio":
      return event.payload.byteLength + event.pts + event.sampleRate;
    case "started":
      return event.audio.sample_rate;
    case "timing":
      track.add(event);
      return event.words?.[0]?.end_pts ?? 0;
    case "clause":
      return event.chars[1] - event.pts;
    case "mark":
      return event.name.length + event.pts;
    case "flushed":
      return event.seq ?? -1;
    case "cancelled":
      return event.heard.chars + event.unheard.text.length;
    case "done":
      return event.timings?.ttfa_ms ?? 0;
    case "warning":
      return event.message.length;
    case "interrupted":
      return event.code;
    case "reconnected":
      return event.resumed ? event.awayMs : (event.pts ?? 0);
    default: {
      const nothing: never = event;
      return nothing;
    }
  }
}

export async function answer(tokens: AsyncIterable<string>, signal: AbortSignal): Promise<string> {
  const session = await connect("wss://example.org", {
    token: async () => "t",
    encoding: "msgpack",
    reconnectSeconds: 60,
    WebSocket,
    onChange: (event) => console.log(event.type),
  });
  const utterance = session.speak(tokens, { voice: "heart", codec: "opus", timings: ["word", "viseme"], signal });
  try {
    for await (const event of utterance) {
      const seq = event.type === "audio" ? event.seq : 0;
      utterance.acknowledge(seq, heard(event));
    }
  } catch (error) {
    if (error instanceof VoxwireError && error.code === "system.engine_overloaded") return String(error.retryAfterMs);
    if (error instanceof ConnectionLost) return `${error.closeCode} ${error.retryable}`;
    throw error;
  }
  const weights: Float32Array = track.weights(480);
  const context: Context = session.context();
  await context.text(String(weights[0]), { flush: true });
  const report = await utterance.cancel({ playedPts: 480 });
  // @ts-expect-error there is no such codec
  session.speak("", { codec: "mp3" });
  // @ts-expect-error what came is not to be changed
  report.heard.text = "";
  return report.heard.text;
}
