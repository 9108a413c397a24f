"""Fits the network that guesses mouth shapes from audio: `server/voxwire_server/audio/viseme_estimator.json`.

    python bench/visemes_fit.py

It learns from the embedded voice, whose phonemes are known, on texts that `bench/visemes.py` does not measure with. So
that it does not learn that one voice, all is heard at several speeds of playback (other vocal tracts and pitches) and
sampled at the rates engines use. Softmax regression through one hidden layer on the shares that the aligned track has
in the middle of each frame; shapes are weighted by the root of how rare they are. Takes a minute.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import soxr
from scipy.optimize import minimize

from load_client import TEXTS

MORE = """
My brother plays the piano every evening before supper. Fifty people waved from the bridge above the river.
Could you please bring me a cup of warm milk? The map on the wall shows every village in the valley.
Bob and Pam bought five big bags of beef. We have moved to a flat above the bakery.
Push the button and wait for the beep. The weather may change very fast up here.
Vera found four fresh figs in the fridge. Thank you for the thoughtful thing.
She sells sea shells and shiny shoes by the shore. Judge George chose a cheap jacket.
He wrote a book about blue birds. Nothing beats a bowl of hot soup in November.
The young woman used a yellow umbrella. Who knew you would move to the moon? Old Joe rode home alone on the cold road.
Boys enjoy noisy toys. I tried to buy nine white pies. How now, brown cow? Mama made me mash my potatoes.
Peter Piper picked a peck of pickled peppers. Five very brave wolves lived above the cave.
The government approved the improvement of public transport. Everybody in the family loves movies about vampires.
A quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. Look at the good book on the hook.
Her first nurse heard the bird chirp. Earth and water are worth more than silver.
Keep clear of the green leaves, please. Big problems become small when you break them up.
The committee voted for a further five percent. Leave the van over there.
"""

SPEEDS = (0.72, 0.8, 0.9, 1.0, 1.12, 1.25)
RATES = (16000, 22050, 24000, 44100)
WEIGHT_DECAY = 1e-4
UNITS = 32


def speech() -> list[tuple[np.ndarray, object]]:
    """Samples at 24 kHz and the mouth of each sentence."""
    from support.visemes import Mouth
    from voxwire_protocol.messages import AudioFormat
    from voxwire_server.audio.pipeline import AudioPipeline
    from voxwire_server.engines.hibari import create
    from voxwire_server.session.visemes import viseme_track_for
    from voxwire_server.speech import Clause

    engine = create()
    engine.warm_up()
    spoken = []
    for text in [*TEXTS, *MORE.strip().splitlines()]:
        for sentence in re.split(r"(?<=[.?]) ", text):
            clause = Clause(sentence, (0, len(sentence)), range(len(sentence)), "heart", "en-us", 1.0, 1)
            chunk = engine.step("speak", [engine.prepare(clause)])[0].chunk
            audio = AudioFormat(sample_rate=24000)
            pipeline = AudioPipeline(24000, audio, viseme_track=viseme_track_for(engine.info, audio))
            mouth = Mouth()
            for made in pipeline.push(0, chunk.samples, finished=True, ends_utterance=True, alignment=chunk.alignment):
                mouth.add(made.visemes)
            spoken.append((chunk.samples, mouth))
    return spoken


def examples() -> tuple[np.ndarray, np.ndarray]:
    """Features, shape [n, features], and the shares to guess, shape [n, 15]."""
    from voxwire_server.audio.viseme_estimator import CONTEXT, FEATURES, QUIET, Spectrum, lasting, stacked

    features, wanted = [], []
    for k, (samples, mouth) in enumerate(speech()):
        for j, speed in enumerate(SPEEDS):
            rate = RATES[(k + j) % len(RATES)]
            heard = soxr.resample(samples, 24000, rate / speed) * 10 ** (-j / 6)
            spectrum = Spectrum(rate)
            measured, silent = spectrum.push(heard.astype(np.float32))
            whole = np.concatenate([np.full((CONTEXT - 1, FEATURES), -2.0, np.float32), measured])
            # A guess is of the frame before the newest.
            middles = (np.arange(len(measured)) - 0.5) * spectrum.frame_samples
            at = np.maximum(0, middles / rate * speed * 24000).astype(np.int64)
            loud = ~lasting(np.concatenate([np.ones(QUIET, np.bool_), silent[:-1]]))
            features.append(stacked(whole)[loud])
            wanted.append(mouth.sampled(at)[loud])
    return np.concatenate(features).astype(np.float64), np.concatenate(wanted)


def fitted(x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], float]:
    """The layers that make y of x best, and the loss that is left."""
    count, width, shapes = len(x), x.shape[1], y.shape[1]
    importance = y @ np.sqrt(1.0 / np.maximum(y.mean(0), 1e-3))
    importance /= importance.mean() * count
    sizes = [(width, UNITS), (UNITS,), (UNITS, shapes), (shapes,)]
    cuts = np.cumsum([int(np.prod(size)) for size in sizes])[:-1]
    draw = np.random.default_rng(1)

    def layers(flat: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(size) for part, size in zip(np.split(flat, cuts), sizes, strict=True)]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        hidden, hidden_bias, out, out_bias = layers(flat)
        units = np.tanh(x @ hidden + hidden_bias)
        logits = units @ out + out_bias
        logits -= logits.max(1, keepdims=True)
        log_likely = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        slope = (np.exp(log_likely) - y) * importance[:, None]
        inner = (slope @ out.T) * (1 - units * units)
        value = -(importance[:, None] * y * log_likely).sum() + WEIGHT_DECAY * ((hidden**2).sum() + (out**2).sum())
        parts = (x.T @ inner + 2 * WEIGHT_DECAY * hidden, inner.sum(0))
        parts += (units.T @ slope + 2 * WEIGHT_DECAY * out, slope.sum(0))
        return value, np.concatenate([part.ravel() for part in parts])

    start = [draw.normal(0, size[0] ** -0.5, size) if len(size) == 2 else np.zeros(size) for size in sizes]
    first = np.concatenate([part.ravel() for part in start])
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 400})
    return layers(found.x), float(found.fun)


def main() -> None:
    x, y = examples()
    layers, loss = fitted(x, y)
    rows = []
    for name, layer in zip(("hidden", "hidden_bias", "out", "out_bias"), layers, strict=True):
        numbers = np.round(layer, 2).tolist()
        lines = [json.dumps(row) for row in numbers] if layer.ndim == 2 else []
        rows.append(f' "{name}": ' + ("[\n  " + ",\n  ".join(lines) + "\n ]" if lines else json.dumps(numbers)))
    target = Path(__file__).parents[1] / "server" / "voxwire_server" / "audio" / "viseme_estimator.json"
    text = "{\n" + ",\n".join(rows) + "\n}\n"
    target.write_text(text, encoding="utf-8")
    print(f"{len(x)} frames, loss {loss:.3f}, {len(text)} bytes")


if __name__ == "__main__":
    main()
