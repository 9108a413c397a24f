"""Lexicons of a server: which are used, how they change under it, and which words reach an engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from support.async_tests import on_loop
from support.in_process_app import running
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.app import Application
from voxwire_server.compat.session import CompatSession, OutputFormat, SessionClosed
from voxwire_server.config import ConfigError, LexiconFile, load_config
from voxwire_server.ops.lexicons import Lexicons
from voxwire_server.session.quotas import ClientIdentity


def written(folder: Path, **files: str) -> list[LexiconFile]:
    """Files of one name and text each; those whose name begins with `named` are used where they are named."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return [LexiconFile(name, str(folder / f"{name}.toml"), not name.startswith("named")) for name in files]


def words_of(lexicons: Lexicons, *names: str) -> list[str]:
    return [rewrite.text for rewrite in lexicons.select(names).aliases("a b c", "en")]


def test_later_files_win_and_named_ones_come_before_them(tmp_path: Path) -> None:
    lexicons = Lexicons(
        written(tmp_path, first='a = "1"\nb = "1"', second='b = "2"', named='a = "3"', named_too='a = "4"\nc = "4"')
    )
    assert words_of(lexicons) == ["1", "2"]
    assert words_of(lexicons, "named") == ["3", "2"]
    assert words_of(lexicons, "named_too", "named") == ["3", "2", "4"]
    assert words_of(lexicons, "named", "named_too") == ["4", "2", "4"]
    assert words_of(lexicons, "first") == ["1", "1"]
    assert lexicons.sizes == {"first": 2, "second": 1, "named": 1, "named_too": 2}


def test_a_name_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(VoxwireError, match="no lexicon 'nothing'") as refused:
        Lexicons(written(tmp_path, b="", a="")).select(["nothing"])
    assert refused.value.code is ErrorCode.INVALID_FIELD
    assert refused.value.details == {"field": "lexicons", "lexicons": ["a", "b"]}


def test_a_mistake_names_its_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bad\.toml, line 2: 'b' must be") as refused:
        Lexicons(written(tmp_path, good='a = "b"', bad='a = "b"\nb = 3'))
    assert refused.value.key == "text.lexicons"
    with pytest.raises(ConfigError, match=r"none\.toml: it can't be read"):
        Application(load_config(flags={"text.lexicons": str(tmp_path / "none.toml"), "engines.enabled": "hibari"}))


# -- from a session to an engine --------------------------------------------------------------------------------------


def open_session(app: Application, **start: object) -> CompatSession:
    session = CompatSession(app, ClientIdentity())
    session.start(
        m.Start(context="a", timings=("word",), seed=1, **start), OutputFormat(sample_rate=24000), paced=False
    )
    return session


async def rest_of(session: CompatSession) -> list[object]:
    """The events of the context until it is done."""
    events: list[object] = []
    while not events or not isinstance(events[-1], m.Done | SessionClosed):
        events.append(await session.next_event())
    return events


async def heard(app: Application, spoken: list[str], *pieces: str, **start: object) -> tuple[list[str], list[str]]:
    """What the engine was given, and the words that the client was told."""
    spoken.clear()
    session = open_session(app, **start)
    session.forward(*(m.Text(context="a", text=piece) for piece in pieces), m.End(context="a"))
    events = await rest_of(session)
    told = [word.text for event in events if isinstance(event, m.Timing) for word in event.words]
    return list(spoken), told


def listen(app: Application) -> list[str]:
    """Have the engine take words, and keep what it is given."""
    engine = app._engines["tone"]
    engine.info = dataclasses.replace(engine.info, reads_signs=False)
    spoken: list[str] = []
    prepare = engine.prepare

    def listening(clause):
        assert clause.lexicon is None
        spoken.append(clause.text)
        return prepare(clause)

    engine.prepare = listening
    return spoken


@on_loop
async def test_an_engine_is_given_the_words_of_the_servers_lexicon_and_the_clients(tmp_path: Path) -> None:
    files = written(
        tmp_path, words='kubectl = "kube control"\n"New York" = "noo york"', named='kubectl = "cube cuttle"'
    )
    text = "Run kubectl in New York."
    async with running(text__lexicons=tuple(files)) as app:
        spoken = listen(app)
        assert await heard(app, spoken, text) == (
            ["Run kube control in noo york."],
            ["Run", "kubectl", "in", "New York."],
        )
        assert await heard(app, spoken, *text) == (
            ["Run kube control in noo york."],
            ["Run", "kubectl", "in", "New York."],
        )
        own = {"kubectl": m.Pronunciation(ipa="kjuːb"), "RUN": "jog"}
        assert (await heard(app, spoken, text, lexicon=own))[0] == ["Run [kubectl](/kjuːb/) in noo york."]
        assert (await heard(app, spoken, text, lexicons=("named",)))[0] == ["Run cube cuttle in noo york."]
        assert (await heard(app, spoken, text, lexicons=("named",), lexicon={"kubectl": "x"}))[0] == [
            "Run x in noo york."
        ]


@on_loop
async def test_a_reload_gives_new_contexts_the_new_files_and_open_ones_keep_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = tuple(written(tmp_path, words='a = "old"'))
    async with running(text__lexicons=files) as app:
        spoken = listen(app)
        kept = open_session(app)
        kept.forward(m.Text(context="a", text="First a. "))
        written(tmp_path, words='a = "new"')
        await app.reload(app.config)
        kept.forward(m.Text(context="a", text="Second a."), m.End(context="a"))
        await rest_of(kept)
        assert " ".join(spoken) == "First old. Second old."
        # A later context of the session that is still open, as of any other.
        spoken.clear()
        kept.start(m.Start(context="b"), OutputFormat(sample_rate=24000), paced=False)
        kept.forward(m.Text(context="b", text="Third a."), m.End(context="b"))
        await rest_of(kept)
        assert spoken == ["Third new."]
        written(tmp_path, words="a = ")
        with pytest.raises(ConfigError, match=r"words\.toml, line 1"):
            await app.reload(
                dataclasses.replace(app.config, limits=dataclasses.replace(app.config.limits, contexts_max=3))
            )
        assert app.config.limits.contexts_max != 3
        assert (await heard(app, spoken, "A again."))[0] == ["new again."]
        await app.reload(load_config(flags={"engines.enabled": "tone", "engines.default": "tone"}))
        assert (await heard(app, spoken, "A again."))[0] == ["A again."]


@on_loop
async def test_the_same_text_and_lexicon_give_the_same_bytes_for_any_split() -> None:
    text = "Run kubectl in New York. It costs kubectl, and New York is far."
    lexicon = {"kubectl": "kube control", "New York": "noo york"}

    async def audio(app: Application, size: int) -> bytes:
        session = open_session(app, lexicon=lexicon)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        session.forward(*(m.Text(context="a", text=piece) for piece in pieces), m.End(context="a"))
        return b"".join(getattr(event, "payload", b"") for event in await rest_of(session))

    async with running() as app:
        listen(app)
        first = await audio(app, len(text))
        assert first
        assert all([await audio(app, size) == first for size in (1, 3, 7)])


@on_loop
async def test_what_a_lexicon_adds_to_a_clause_is_bounded() -> None:
    async with running() as app:
        spoken = listen(app)
        await heard(app, spoken, "a " * 100 + "end.", lexicon={"a": "b" * 100})
        assert max(map(len, spoken)) < 5 * 203 + 256
        assert sum(clause.count("b" * 100) for clause in spoken) >= 8
