/** Owns a context whose text its caller writes. */

import { Utterance } from "./utterance.js";

/** An utterance whose text you write: `text`, `flush`, `end`. */
export class Context extends Utterance {
  text(_text: string, _options: { flush?: boolean | undefined } = {}): Promise<void> { throw new Error("not there yet"); }
  flush(_id?: string): Promise<void> { throw new Error("not there yet"); }
  end(): Promise<void> { throw new Error("not there yet"); }
  retract(_fromChar: number): Promise<number> { throw new Error("not there yet"); }
}
