"""The embedded voice: its phonemes, the times of words, and that its signal processing gives what hibari's gives."""

from __future__ import annotations

import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import hibari
import numpy as np
import onnxruntime
import pytest
from hibari import dsp
from hypothesis import given, settings
from hypothesis import strategies as st

from support.engine_driver import clause_for, speak
from support.harvard_sentences import SENTENCES
from support.whisper import transcribe, word_error_rate
from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.common.alignment import DURATION_SAMPLES, align, trim
from voxwire_server.engines.common.g2p import SYMBOLS_MAX, EnglishReader, Sentence
from voxwire_server.engines.common.letters import ACCENTED, in_known_letters
from voxwire_server.engines.common.onnx_wire import delimited, fields, numbers, varints
from voxwire_server.engines.hibari import create
from voxwire_server.engines.hibari.engine import noise_row
from voxwire_server.engines.hibari.network import Network, edit_graph
from voxwire_server.engines.hibari.vocoder import BINS, HOP, Vocoder
from voxwire_server.speech import Alignment, PhonemeMark, WordMark
from voxwire_server.text.reading import read_out
from voxwire_server.text.scripts import foreign_letters

MODEL = Path(hibari.__file__).parent / "assets" / "hibari.onnx"
PARAGRAPH = (
    "It's 7:30, and Dr. Smith paid $5.50 for 10 km. Half of it (well-known) was on 3/4/2024! "
    "“Really?” she said; the U.S. and/or AT&T's 50% don't mind."
)


@pytest.fixture(scope="module")
def engine():
    created = create()
    created.warm_up()
    return created


@pytest.fixture(scope="module")
def reader():
    return EnglishReader()


@pytest.fixture(scope="module")
def network():
    return Network()


@pytest.fixture(scope="module")
def original():
    return hibari.Hibari()


# -- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello there.", ["Hello", "there"]),
        ("It's 7:30 now.", ["It's", "7:30", "now"]),
        ("At 7:30, sharp", ["At", "7:30", "sharp"]),
        ("(7:30)", ["7:30"]),
        ("On 3/4/2024, twice.", ["On", "3/4/2024", "twice"]),
        ("March 3rd, 2024 came.", ["March", "3rd", "2024", "came"]),
        ("10 km away, 5km back", ["10", "km", "away", "5km", "back"]),
        ("I paid $5.50.", ["I", "paid", "$5.50"]),
        ("about $5 million", ["about", "$5", "million"]),
        ("50% of it", ["50%", "of", "it"]),
        ("Call 555-1234 now", ["Call", "555-1234", "now"]),
        ("Dr. Smith's dog, etc.", ["Dr.", "Smith's", "dog", "etc"]),
        ("the U.S. and/or us", ["the", "U.S.", "and/or", "us"]),
        ("well-known—yes", ["well-known", "yes"]),
        ("“Quoted,” he said.", ["Quoted", "he", "said"]),
        ("don’t", ["don’t"]),
        ("Hello , world !", ["Hello", "world"]),
        ("a [word](/wˈɜɹd/) more", ["a", "word", "more"]),
        ("One.  Two!\nThree", ["One", "Two", "Three"]),
        ("the the the 7:30 7:30", ["the", "the", "the", "7:30", "7:30"]),
        ("漢字 and that", ["and", "that"]),
        ("Ḥasan, Þór; cafe\u0301s in Straßen", ["Ḥasan", "Þór", "cafe\u0301s", "in", "Straßen"]),
        ("𝐀𝐛 ħ ɓ ə ½ ٣ Ⅳ", ["𝐀𝐛", "ħ", "ɓ", "ə", "½", "٣", "Ⅳ"]),
        ("an [ɜθ](/wˈɜɹd/) ŋ", ["an", "ɜθ", "ŋ"]),
    ],
)
def test_words_have_the_ranges_of_the_source_text(reader, text, words):
    assert [text[a:b] for sentence in reader.read(text) for a, b in sentence.words] == words


@pytest.mark.parametrize("text", [*SENTENCES, "The well-known half of it; “Really?” she said, and didn't mind."])
def test_the_phoneme_ids_are_those_of_hibari(reader, original, text):
    assert [list(s.ids) for s in reader.read(text)] == [original.ids(p) for p in original.phonemize(text)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("cafe\u0301", "café"),
        ("Straße", "Strasse"),
        ("Þór", "Thór"),
        ("Ḥasan", "Hasan"),
        ("Nguyễn", "Nguyen"),
        ("ﬁne", "fine"),
        ("ʻOkina", "'Okina"),
    ],
)
def test_letters_that_hibari_does_not_know_sound_as_those_they_are_made_from(reader, written, read):
    assert [s.symbols for s in reader.read(written)] == [s.symbols for s in reader.read(read)]


def test_every_latin_letter_is_read(reader):
    letters = [chr(code) for code in range(0xC0, 0x1F00) if not foreign_letters(chr(code), "en")]
    latin = [each for each in letters if unicodedata.name(each, "").startswith("LATIN") and each.isalpha()]
    silent = [each for each in latin if not reader.read(f"a{each}a") or not in_known_letters(each).text]
    assert len(latin) > 700
    assert not silent
    assert {each for each in latin if not in_known_letters(each).text.isascii()} <= ACCENTED


def test_text_beyond_the_networks_limit_is_cut_between_words(reader):
    text = "one thousand and one nights, " * 40
    sentences = reader.read(text)
    assert len(sentences) > 1
    assert all(len(s.symbols) <= SYMBOLS_MAX for s in sentences)
    words = [text[a:b] for s in sentences for a, b in s.words]
    assert words == text.replace(",", "").split()


# -- when it sounds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.7, 1.0, 1.4])
def test_durations_account_for_every_sample(reader, network, speed):
    for sentence in reader.read(PARAGRAPH):
        head, f0, durations = network.run(sentence.ids, speed)
        assert len(durations) == len(sentence.ids)
        assert (durations >= 1).all()
        assert durations.sum() * DURATION_SAMPLES == len(head) * HOP == len(f0) * HOP
        assert len(Vocoder().samples(head, f0, 0)) == durations.sum() * DURATION_SAMPLES


def test_marks_stand_where_the_durations_say():
    sentence = Sentence(
        ids=(0, *range(1, 10), 0),
        symbols="hˈAː, w n",
        word_indices=(0, 0, 0, 0, -1, -1, 1, -1, 1),
        words=((0, 2), (4, 7)),
    )
    durations = np.array([10, 2, 1, 4, 1, 3, 2, 5, 1, 6, 20])
    marks = align(sentence, durations, "Hi, one", 1200)
    at = [1200 + 600 * n for n in (10, 12, 17, 18, 23, 28, 29, 35)]
    assert [(p.ipa, p.start, p.end, p.chars) for p in marks.phonemes] == [
        ("h", at[0], at[1], (0, 2)),
        ("ˈeɪː", at[1], at[3], (0, 2)),
        ("w", at[4], at[5], (4, 7)),
        ("n", at[6], at[7], (4, 7)),
    ]
    assert [(w.text, w.start, w.end) for w in marks.words] == [("Hi", at[0], at[3]), ("one", at[4], at[7])]


def test_words_sound_and_the_gaps_around_sentences_do_not(engine):
    spoken = speak(engine, clause_for(engine, PARAGRAPH))
    loudness = [float(np.sqrt(np.mean(spoken.samples[w.start : w.end] ** 2))) for w in spoken.words]
    lead_in = spoken.samples[: spoken.words[0].start]
    assert np.median(loudness) > 20 * np.sqrt(np.mean(lead_in[: len(lead_in) // 2] ** 2))


def test_each_sentence_is_a_step_with_marks_of_its_own(engine):
    spoken = speak(engine, clause_for(engine, "One here. Two there. Three everywhere."))
    assert len(spoken.chunks) == 3
    bounds = np.cumsum([0, *map(len, spoken.chunks)])
    for word, chunk in zip(("One", "Two", "Three"), range(3), strict=True):
        mark = next(w for w in spoken.words if w.text == word)
        assert bounds[chunk] < mark.start < mark.end < bounds[chunk + 1]


@pytest.mark.parametrize(
    ("text", "silence"),
    [("It rains in the hills.", None), ("Well, I think so,", 0.2), ("Well, I think", 0.1)],
)
def test_the_silence_around_a_clause_depends_on_its_punctuation(engine, text, silence):
    spoken = speak(engine, clause_for(engine, text))
    loud = np.flatnonzero(np.abs(spoken.samples) > 0.003)
    assert 0.03 < loud[0] / 24000 < 0.05
    tail = (len(spoken.samples) - loud[-1]) / 24000
    assert tail > 0.25 if silence is None else tail < silence


@given(st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 5000), st.sampled_from([None, 0, 720, 3840]))
@settings(max_examples=200, deadline=None)
def test_trimming_keeps_every_mark_in_the_audio_and_every_sound(lead, tail, offset, pause):
    sound = np.full(4800, 0.1, np.float32)
    samples = np.concatenate([np.zeros(lead, np.float32), sound, np.zeros(tail, np.float32)])
    starts = [max(0, lead - 600), lead + 2400, len(samples)]
    marks = tuple(PhonemeMark("a", a + offset, b + offset, (0, 1)) for a, b in pairwise(starts) if b > a)
    words = (WordMark("a", marks[0].start, marks[-1].end, (0, 1)),)
    kept, moved = trim(samples, Alignment(words, marks), offset, pause)
    assert np.count_nonzero(kept) == 4800
    assert len(kept) <= len(samples)
    every = [*moved.phonemes, *moved.words]
    assert all(offset <= mark.start < mark.end <= offset + len(kept) for mark in every)


def test_silence_alone_is_left_as_it_is():
    samples = np.zeros(4000, np.float32)
    kept, marks = trim(samples, Alignment(), 0, 0)
    assert len(kept) == 4000
    assert marks == Alignment()


# -- the signal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Hi.", "Hello there.", SENTENCES[0], PARAGRAPH])
def test_the_vocoder_gives_what_hibari_gives_for_the_same_noise(original, text):
    for phonemes in original.phonemize(text):
        ids = np.asarray([original.ids(phonemes)])
        parts = original.sess.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        *spectra, f0 = (part[0] for part in parts)
        noise = np.random.default_rng(3).standard_normal((BINS, 2 * len(f0)), dtype=np.float32).view(np.complex64).T
        table = (np.ascontiguousarray(noise.real), np.ascontiguousarray(noise.imag))
        got = Vocoder(table).samples(np.concatenate(spectra).T, f0, 0)
        expected = dsp.synth(*spectra, f0, np.random.default_rng(3))
        assert np.abs(got - expected).max() < 1e-4


@pytest.mark.parametrize("hertz", [0.0, 39.0, 41.0, 180.0, 400.0])
@pytest.mark.parametrize("frames", [3, 4, 50, 131])
def test_the_vocoder_agrees_for_steady_voices_and_for_none(hertz, frames):
    generator = np.random.default_rng(frames)
    spectra = [generator.normal(-3, 1, (BINS, frames)).astype(np.float32) for _ in range(5)]
    f0 = np.full(frames, hertz, np.float32)
    f0[frames // 2 :] = 0
    z = np.zeros((1, BINS), np.float32)
    got = Vocoder((z, z)).samples(np.concatenate(spectra).T, f0, 12345)
    spectra[2][:] = -100
    assert np.abs(got - dsp.synth(*spectra, f0, np.random.default_rng(0))).max() < 1e-4


def test_the_noise_table_wraps_around():
    generator = np.random.default_rng(0)
    table = tuple(generator.standard_normal((7, BINS), dtype=np.float32) for _ in range(2))
    thrice = tuple(np.tile(part, (6, 1)) for part in table)
    head, f0 = generator.normal(-3, 1, (30, 5 * BINS)).astype(np.float32), np.zeros(30, np.float32)
    assert np.array_equal(Vocoder(table).samples(head, f0, 5), Vocoder(thrice).samples(head, f0, 5))


def test_seeds_and_sentences_begin_at_places_of_their_own():
    places = {noise_row(seed, sentence) % 1087 for seed in range(-20, 20) for sentence in range(5)}
    assert len(places) > 150
    assert noise_row(2**64 + 5, 1) == noise_row(5, 1)


# -- the graph --------------------------------------------------------------------------------------------------------


def test_the_edited_graph_gives_the_durations_of_the_whole_one(reader, network):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    output = delimited(12, delimited(1, b"/Clip_output_0"))
    # Protobuf merges a message that is given twice: one more output, nothing else changed.
    whole = onnxruntime.InferenceSession(MODEL.read_bytes() + delimited(7, output), options)
    for sentence in reader.read(PARAGRAPH):
        feeds = {"ids": np.asarray([sentence.ids], np.int64), "speed": np.ones(1, np.float32)}
        *_, f0, durations = whole.run(None, feeds)
        _, edited_f0, edited = network.run(sentence.ids, 1.0)
        assert edited.tolist() == durations.tolist()
        voiced = (f0[0] > 60) & (edited_f0 > 60)
        # Every rounding of an activation can tip a quantised value; half a hertz is what such a tip does to the pitch.
        assert np.abs(edited_f0 - f0[0])[voiced].mean() < 1.5


def test_fields_are_read_and_written_as_they_are():
    message = varints(1, [0, 1, 300, 2**40]) + delimited(2, b"abc") + delimited(3, b"\x05\xac\x02")
    found = fields(message)
    assert b"".join(field.whole for field in found) == message
    assert numbers(found, 1) == [0, 1, 300, 2**40]
    assert numbers(found, 3) == [5, 300]
    model = MODEL.read_bytes()
    assert b"".join(field.whole for field in fields(model)) == model


@pytest.mark.parametrize("broken", [b"\x3a\xff\x01short", b"\x80", b"\x0b", b"\xff" * 20])
def test_bytes_that_are_no_message_are_refused(broken):
    with pytest.raises(ValueError, match=r"cut short|wire type"):
        fields(broken)


def test_a_graph_without_the_tensors_is_refused():
    with pytest.raises(ValueError, match="no tensor 'elsewhere'"):
        edit_graph(MODEL.read_bytes(), ("f0", "elsewhere"))


def test_a_file_that_is_no_model_makes_the_engine_unavailable(monkeypatch, tmp_path):
    wrong = tmp_path / "assets" / "hibari.onnx"
    wrong.parent.mkdir()
    wrong.write_bytes(b"no model at all")
    monkeypatch.setattr("voxwire_server.engines.hibari.network.MODEL", wrong)
    with pytest.raises(EngineUnavailable) as problem:
        create()
    assert "voxwire[hibari]" in problem.value.hint


@pytest.mark.parametrize("package", ["onnxruntime", "hibari"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    for name in [name for name in sys.modules if name.startswith("voxwire_server.engines.hibari.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineUnavailable, match=package) as problem:
        create()
    assert problem.value.hint == "pip install 'voxwire[hibari]'"


# -- heard ------------------------------------------------------------------------------------------------------------


@pytest.mark.speech
def test_it_is_understood_as_well_as_the_package_alone(engine, original):
    ours, theirs = [], []
    for sentence in SENTENCES:
        ours.append(word_error_rate(sentence, transcribe(speak(engine, clause_for(engine, sentence)).samples, 24000)))
        theirs.append(word_error_rate(sentence, transcribe(original(sentence, seed=7), 24000)))
    assert np.mean(ours) <= np.mean(theirs) + 0.02, (np.mean(ours), np.mean(theirs))
    assert np.mean(ours) < 0.1


@pytest.mark.speech
def test_the_audio_under_a_words_mark_is_that_word(engine):
    text = "My favourite number is seventeen, and my favourite fruit is a banana, as everybody knows."
    spoken = speak(engine, clause_for(engine, text))
    for word in ("seventeen", "banana"):
        mark = next(w for w in spoken.words if w.text == word)
        margin = np.zeros(6000, np.float32)
        heard = transcribe(np.concatenate((margin, spoken.samples[mark.start - 480 : mark.end + 480])), 24000)
        assert word in heard.lower().replace("17", "seventeen")


@pytest.mark.parametrize("unit", ["a-", "a/", "1-", "a&", "%", "aA", "a@b.", "1st", "v1.2.3-"])
def test_a_word_of_very_many_parts_is_looked_up_a_bounded_number_of_times(reader, unit, monkeypatch):
    lookups = []
    lexicon = type(reader._g2p.lexicon)
    whole = lexicon.__call__
    monkeypatch.setattr(lexicon, "__call__", lambda self, *args: lookups.append(1) or whole(self, *args))
    sentences = reader.read((unit * 220)[:220])
    assert len(lookups) < 2500
    assert all(end <= 220 for sentence in sentences for _, end in sentence.words)


@pytest.mark.parametrize("text", [*SENTENCES, PARAGRAPH, "A state-of-the-art mother-in-law's e-mail of 2024-05-12."])
def test_words_of_few_parts_are_read_as_hibari_reads_them(reader, original, text):
    plain, normal = original.g2p, read_out(text, "en-us").text
    mine = [(token.text, token.phonemes) for token in reader._pronounce(normal)]
    assert mine == [(token.text, token.phonemes) for token in plain.phonemize_tokens(plain.tokenize(normal))]
