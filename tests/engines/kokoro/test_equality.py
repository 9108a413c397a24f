"""Kokoro in torch is the reference implementation, and a batch is what each of its rows would be alone."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support import kokoro, kokoro_reference  # noqa: E402
from voxwire_server.engines.kokoro.g2p import Languages  # noqa: E402
from voxwire_server.engines.kokoro.model.layers import Rows  # noqa: E402
from voxwire_server.engines.kokoro.model.network import Kokoro  # noqa: E402

TEXTS = (
    ("af_heart", "Yes."),
    ("am_adam", "The birch canoe slid on smooth planks."),
    ("bf_emma", "Glue the sheet."),
    ("af_bella", "It's easy to tell."),
    ("am_michael", "Four hours, and a half."),
    ("bm_george", "Rice is often served."),
    ("af_nicole", "Hello there!"),
    ("am_puck", "The truck."),
)


@pytest.fixture(scope="module")
def network() -> Kokoro:
    return kokoro.network()


def piece(voice: str, text: str):
    """Ids and style of a text."""
    weights = kokoro.weights()
    (sentence,) = Languages(weights.vocabulary()).read(text, "en-us")
    return sentence.ids, torch.from_numpy(weights.voices()[voice][len(sentence.ids) - 3])[None]


def test_durations_and_samples_are_the_references(network: Kokoro):
    missing = kokoro_reference.missing()
    if missing:
        pytest.skip(f"needs the Python packages {', '.join(missing)}: make test")
    model = kokoro_reference.reference_model(network_state(), kokoro.weights().vocabulary())
    for voice, text in TEXTS[:3]:
        ids, style = piece(voice, text)
        tokens, rows = torch.tensor([ids]), Rows(torch.tensor([len(ids)]), even=True)
        encoded = network.encode(tokens, style, torch.ones(1), rows)
        frames = int(encoded.durations.sum())
        lengths = Rows(torch.tensor([frames]), even=True)
        features = network.front(encoded, style, lengths, frames)
        generator = network.decoder.generator
        polar = generator.spectra.analyse(generator.source(features.pitch, None), lengths)
        heard: dict[str, torch.Tensor] = {}
        with same_source(model, polar, heard):
            expected, durations = model.forward_with_tokens(tokens, style, 1.0)
        samples = network.generate(features, style, lengths, None)[0]
        assert torch.equal(durations, encoded.durations[0])
        assert (heard["pitch"] - features.pitch[0]).abs().max() < 0.01, "Hz"
        assert (expected - samples).abs().max() < 1e-4


class same_source:
    """Makes the reference's generator use given spectra of the source, which depend on rounding where it is silent."""

    def __init__(self, model, polar, heard) -> None:
        self.generator, self.polar, self.heard = model.decoder.generator, polar, heard

    def __enter__(self) -> None:
        def source(upsampled):
            self.heard["pitch"] = upsampled[0, ::300, 0]
            return torch.zeros(1, upsampled.shape[1], 1), None, None

        self.kept = self.generator.m_source.forward, self.generator.stft.transform
        self.generator.m_source.forward = source
        self.generator.stft.transform = lambda _: self.polar.chunk(2, 1)

    def __exit__(self, *error: object) -> None:
        self.generator.m_source.forward, self.generator.stft.transform = self.kept


def network_state():
    return {name: torch.from_numpy(value) for name, value in kokoro.weights().state().items()}


def test_a_batch_of_unequal_texts_and_voices_is_as_each_alone():
    engine = kokoro.torch_engine("float32")
    clauses = [kokoro.clause(text, voice, seed=i) for i, (voice, text) in enumerate(TEXTS[::2])]
    together = kokoro.speak(engine, clauses, rows_max=8)
    for each, (samples, alignment) in zip(clauses, together, strict=True):
        ((alone, marks),) = kokoro.speak(engine, [each])
        assert len(samples) == len(alone)
        assert alignment == marks
        assert np.corrcoef(samples, alone)[0, 1] > 0.9999


def test_a_jobs_audio_depends_on_its_own_seed():
    engine = kokoro.torch_engine("float32")
    texts = [kokoro.clause("Yes, of course.", seed=seed) for seed in (1, 1, 2)]
    (same, _), (again, _), (other, _) = kokoro.speak(engine, texts)
    assert np.corrcoef(same, again)[0, 1] > 0.999999
    size = min(len(same), len(other))
    assert np.abs(same[:size] - other[:size]).max() > 1e-4


def test_weights_of_another_network_are_refused():
    state = network_state()
    with pytest.raises(ValueError, match="missing"):
        Kokoro().load({name: value for name, value in state.items() if not name.startswith("decoder.encode")})
    name = "decoder.asr_res.0.weight"
    with pytest.raises((ValueError, RuntimeError), match=r"shape|another network"):
        Kokoro().load(state | {name: torch.zeros(3)})
