"""Configuration: where values come from, and what is refused."""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server import config as c

HASH = "sha256:" + "0123456789abcdef" * 4
OTHER_HASH = "sha256:" + "fedcba9876543210" * 4
REFERENCE = Path(__file__).parents[3] / "server" / "configuration.md"


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "voxwire.toml"
    file.write_text(text)
    return file


def refused(**arguments: object) -> c.ConfigError:
    with pytest.raises(c.ConfigError) as caught:
        c.load_config(**arguments)  # type: ignore[arg-type]
    return caught.value


def test_nothing_given_is_a_server_on_loopback() -> None:
    config = c.load_config()
    assert config == c.Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8765)
    assert config.auth.keys == ()


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = write(tmp_path, "[limits]\ncontexts_max = 1\ntext_chars_max = 1\nunspoken_chars_max = 1\n")
    env = {"VOXWIRE_LIMITS_CONTEXTS_MAX": "2", "VOXWIRE_LIMITS_UNSPOKEN_CHARS_MAX": "2"}
    config = c.load_config(file, env, {"limits.contexts_max": 3})
    assert (config.limits.contexts_max, config.limits.unspoken_chars_max, config.limits.text_chars_max) == (3, 2, 1)
    assert config.sources == {
        "limits.contexts_max": "flag",
        "limits.unspoken_chars_max": "VOXWIRE_LIMITS_UNSPOKEN_CHARS_MAX",
        "limits.text_chars_max": str(file),
    }


def test_a_flag_that_is_none_was_not_given() -> None:
    assert c.load_config(flags={"server.port": None}) == c.Config()


def test_every_key_has_a_meaning_and_a_variable_of_its_own() -> None:
    assert all(key.setting.meaning for key in c.KEYS.values())
    assert len({key.env for key in c.KEYS.values()}) == len(c.KEYS)
    assert c.KEYS["server.port"].env == "VOXWIRE_SERVER_PORT"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"flags": {"server.prot": 1}}, "server.port"),
        ({"flags": {"limits.context_max": 1}}, "limits.contexts_max"),
        ({"flags": {"server.contexts_max": 1}}, "limits.contexts_max"),
        ({"env": {"VOXWIRE_SEVER_PORT": "1"}}, "VOXWIRE_SERVER_PORT"),
        ({"env": {"VOXWIRE_AUDIO_LEAD": "1"}}, "VOXWIRE_AUDIO_LEAD_MS"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(arguments: dict[str, object], hint: str) -> None:
    assert hint in refused(**arguments).hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[sever]\nport = 1", "server"),
        ("[server]\nhots = 'x'", "server.host"),
        ("[server.zzz]\nx = 1", "`voxwire config`"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_with_the_nearest_name(tmp_path: Path, text: str, hint: str) -> None:
    assert hint in refused(file=write(tmp_path, text)).hint


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("server.port", "eighty", "whole number"),
        ("server.port", 1.5, "whole number"),
        ("server.port", True, "whole number"),
        ("server.port", 70_000, "at most 65535"),
        ("server.port", -1, "at least 0"),
        ("server.drain_seconds", "nan", "finite"),
        ("server.drain_seconds", "inf", "finite"),
        ("server.drain_seconds", 10**400, "number"),
        ("server.drain_seconds", [], "number"),
        ("server.insecure", "perhaps", "true or false"),
        ("server.insecure", 1, "true or false"),
        ("server.host", 1, "text"),
        ("server.log_level", "loud", "one of debug, info"),
        ("server.origins", [1], "list of texts"),
        ("scheduling.utilisation_max", 101, "at most 100"),
        ("auth.keys", ["x"], "table"),
        ("auth.keys", "x", "name=hash"),
    ],
)
def test_a_wrong_value_is_refused_by_key_value_and_source(key: str, value: object, problem: str) -> None:
    error = refused(flags={key: value})
    assert error.key == key
    assert problem in error.message
    assert key in str(error)
    assert "flag" in str(error)


def test_the_variable_or_file_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    assert "VOXWIRE_SERVER_PORT" in str(refused(env={"VOXWIRE_SERVER_PORT": "x"}))
    assert "voxwire.toml" in str(refused(file=write(tmp_path, "[server]\nport = 'x'")))


@pytest.mark.parametrize("word", ["true", "Yes", "on", "1"])
def test_switches_in_the_environment_read_like_words(word: str) -> None:
    assert c.load_config(env={"VOXWIRE_SERVER_INSECURE": word}).server.insecure is True


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    config = c.load_config(env={"VOXWIRE_ENGINES_ENABLED": "tone, hibari,"})
    assert config.engines.enabled == ("tone", "hibari")


def test_keys_are_a_table_in_the_file_and_pairs_in_the_environment(tmp_path: Path) -> None:
    expected = (c.ApiKey("agent", HASH), c.ApiKey("web", OTHER_HASH))
    file = write(tmp_path, f'[auth.keys]\nagent = "{HASH}"\nweb = "{OTHER_HASH}"\n')
    assert c.load_config(file).auth.keys == expected
    assert c.load_config(env={"VOXWIRE_AUTH_KEYS": f"agent={HASH}, web={OTHER_HASH}"}).auth.keys == expected
    assert c.load_config(flags={"auth.keys": expected}).auth.keys == expected


@pytest.mark.parametrize(
    "keys",
    [
        {"agent": "vw_a-real-key-that-must-not-be-here"},
        {"": HASH},
        {"a b": HASH},
        {"x" * 65: HASH},
        {"one": HASH, "two": HASH},
        {"one": 1},
    ],
)
def test_bad_keys_are_refused_without_being_shown(keys: dict[str, object]) -> None:
    error = refused(flags={"auth.keys": keys})
    assert error.key == "auth.keys"
    assert "vw_a-real-key" not in str(error)
    assert HASH not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        '[engines.options]\ntone = { precision = "float32", graphs = false, depth = 3 }\n',
        '[engines.options]\n"tone.precision" = "float32"\n"tone.graphs" = "off"\n"tone.depth" = 3\n',
        '[engines.options.tone]\nprecision = "float32"\ngraphs = "off"\ndepth = "3"\n',
    ],
)
def test_options_of_an_engine_are_a_table_in_the_file(tmp_path: Path, text: str) -> None:
    engines = c.load_config(write(tmp_path, text), flags={"engines.enabled": "hibari,tone"}).engines
    assert engines.options_of("tone") == {"precision": "float32", "graphs": "off", "depth": "3"}
    assert engines.options_of("hibari") == {}


def test_options_of_an_engine_are_pairs_in_the_environment_and_flags() -> None:
    pairs = "hibari.precision=float32,hibari.graphs=off"
    wanted = {"precision": "float32", "graphs": "off"}
    assert c.load_config(env={"VOXWIRE_ENGINES_OPTIONS": pairs}).engines.options_of("hibari") == wanted
    assert c.load_config(flags={"engines.options": pairs}).engines.options_of("hibari") == wanted


def test_options_print_as_a_table_that_reads_back(tmp_path: Path) -> None:
    config = c.load_config(flags={"engines.options": "hibari.a=1,hibari.b=two words"})
    assert c.load_config(write(tmp_path, c.render_config(config))) == config


@pytest.mark.parametrize(
    "given",
    [
        "precision=float32",
        "hibari.precision",
        "hibari.precision=",
        "hibari.a=1,hibari.a=2",
        "hibary.precision=float32",
        {"hibari": {"precision": ["float32"]}},
        {"hibari": "float32"},
        ["hibari.precision"],
    ],
)
def test_options_that_name_no_engine_option_and_value_are_refused(given: object) -> None:
    with pytest.raises(c.ConfigError) as caught:
        c.load_config(flags={"engines.options": given})
    assert caught.value.key == "engines.options"


def test_a_token_secret_is_never_shown() -> None:
    assert "short" not in str(refused(env={"VOXWIRE_AUTH_TOKEN_SECRET": "short"}))
    config = c.load_config(env={"VOXWIRE_AUTH_TOKEN_SECRET": "s3cret" * 8})
    assert "s3cret" not in c.render_config(config)


@pytest.mark.parametrize(
    ("flags", "key"),
    [
        ({"engines.enabled": "tone"}, "engines.default"),
        ({"engines.enabled": ""}, "engines.enabled"),
        ({"limits.unspoken_chars_max": 10}, "limits.unspoken_chars_max"),
        ({"limits.context_chars_max": 30_000}, "limits.context_chars_max"),
        ({"limits.outbox_bytes_max": 65_536}, "limits.outbox_bytes_max"),
        ({"server.origins": "app.example.com"}, "server.origins"),
        ({"server.origins": "https://app.example.com/path"}, "server.origins"),
        ({"server.origins": "https://app.example.com:99999"}, "server.origins"),
        ({"server.origins": "https://u@app.example.com"}, "server.origins"),
        ({"server.proxies": "lb.example.com"}, "server.proxies"),
        ({"server.proxies": "10.0.0.1/8"}, "server.proxies"),
    ],
)
def test_values_that_contradict_each_other_are_refused(flags: dict[str, object], key: str) -> None:
    assert refused(flags=flags).key == key


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "voice.example.com", "127.0.0.1.example.com"])
def test_listening_beyond_loopback_needs_keys_or_insecure(host: str) -> None:
    error = refused(flags={"server.host": host})
    assert error.key == "server.host"
    assert "--insecure" in error.hint
    c.load_config(flags={"server.host": host, "server.insecure": True})
    c.load_config(flags={"server.host": host, "auth.keys": {"agent": HASH}})


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "::ffff:127.0.0.1"]
)
def test_loopback_needs_no_keys(host: str) -> None:
    assert c.is_loopback(host)
    c.load_config(flags={"server.host": host})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VOXWIRE_SERVICE_HOST", "10.0.0.1"),
        ("VOXWIRE_SERVICE_PORT", "8765"),
        ("VOXWIRE_SERVICE_PORT_HTTP", "8765"),
        ("VOXWIRE_PORT", "tcp://10.0.0.1:8765"),
        ("VOXWIRE_SERVER_PORT", "tcp://10.0.0.1:8765"),
        ("VOXWIRE_PORT_8765_TCP", "tcp://10.0.0.1:8765"),
        ("VOXWIRE_PORT_8765_TCP_ADDR", "10.0.0.1"),
        ("VOXWIRE_URL", "ws://x"),
        ("VOXWIRE_API_KEY", "vw_x"),
        ("OTHER", "x"),
    ],
)
def test_variables_of_other_programs_are_ignored(variable: str, value: str) -> None:
    assert c.load_config(env={variable: value}) == c.Config()


@pytest.mark.parametrize("text", ["[server", "server = 1", "\xff"])
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "voxwire.toml"
    file.write_bytes(text.encode("latin-1"))
    assert "voxwire.toml" in str(refused(file=file))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "can't be read" in str(refused(file=tmp_path / "none.toml"))


def test_the_file_is_the_chosen_one_then_the_variable_then_the_directory(tmp_path: Path) -> None:
    assert c.find_config_file(None, {}, tmp_path) is None
    file = write(tmp_path, "")
    assert c.find_config_file(None, {}, tmp_path) == file
    assert c.find_config_file(None, {"VOXWIRE_CONFIG": "/etc/v.toml"}, tmp_path) == Path("/etc/v.toml")
    assert c.find_config_file("mine.toml", {"VOXWIRE_CONFIG": "/etc/v.toml"}, tmp_path) == Path("mine.toml")


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    c.add_config_arguments(parser)
    return parser.parse_args(arguments)


def test_command_line_flags_reach_the_configuration(tmp_path: Path) -> None:
    args = parse(
        "--port", "0", "--host", "0.0.0.0", "--insecure", "--log-level", "debug", "--set", "limits.contexts_max=8"
    )
    config = c.config_from_arguments(args, {}, tmp_path)
    assert (config.server.port, config.server.host, config.server.insecure) == (0, "0.0.0.0", True)
    assert (config.server.log_level, config.limits.contexts_max) == ("debug", 8)


def test_flags_that_are_not_used_leave_the_file_alone(tmp_path: Path) -> None:
    write(tmp_path, "[server]\ninsecure = true\nport = 1\n")
    assert c.config_from_arguments(parse(), {}, tmp_path).server == c.ServerConfig(insecure=True, port=1)


def test_set_without_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(c.ConfigError, match="KEY=VALUE"):
        c.config_from_arguments(parse("--set", "server.port"), {}, tmp_path)


def test_the_printed_configuration_is_toml_with_the_source_of_each_value(tmp_path: Path) -> None:
    file = write(tmp_path, "[audio]\nlead_ms = 300\n")
    config = c.load_config(file, {"VOXWIRE_SERVER_ORIGINS": "https://a.example"}, {"auth.keys": {"agent": HASH}})
    text = c.render_config(config)
    document = tomllib.loads(text)
    assert {f"{section}.{name}" for section, table in document.items() for name in table} == set(c.KEYS)
    assert f"lead_ms = 300  # {file}" in text
    assert 'origins = ["https://a.example"]  # VOXWIRE_SERVER_ORIGINS' in text
    assert "port = 8765  # default" in text
    assert HASH not in text
    assert document["auth"]["keys"]["agent"].startswith("sha256:01234567")


def test_the_printed_defaults_read_back_as_the_defaults(tmp_path: Path) -> None:
    assert c.load_config(write(tmp_path, c.render_config(c.Config()))) == c.Config()


@given(st.text(), st.floats(0, 3600), st.lists(st.text()))
def test_any_value_prints_as_toml(text: str, number: float, texts: list[str]) -> None:
    engines = c.EnginesConfig(default_voice=text, enabled=tuple(texts))
    config = c.Config(server=c.ServerConfig(drain_seconds=number), engines=engines)
    document = tomllib.loads(c.render_config(config))
    assert document["engines"]["default_voice"] == text
    assert document["engines"]["enabled"] == texts
    assert document["server"]["drain_seconds"] == number


@given(st.dictionaries(st.sampled_from(sorted(c.KEYS)), st.text() | st.integers() | st.none() | st.lists(st.text())))
def test_any_values_give_a_configuration_or_a_named_refusal(flags: dict[str, object]) -> None:
    wrong = ""
    try:
        c.load_config(flags=flags)
    except c.ConfigError as error:
        wrong = error.key
    assert wrong in {"", *c.KEYS}


def reference_row(key: c.Key) -> str:
    """The row that the documentation must have for a key."""
    default = c.render_value(key, key.default)
    setting, bounds = key.setting, ""
    if setting.choices:
        bounds = ", ".join(setting.choices)
    elif setting.minimum is not None:
        high = "" if setting.maximum is None else f" to {setting.maximum:.10g}"
        bounds = f"{setting.minimum:.10g}{high or ' or more'}"
    shown = f"{key.kind.value}; {bounds}" if bounds else key.kind.value
    return f"| `{key.name}` | `{key.env}` | {shown} | `{default}` | {setting.meaning} |"


@pytest.mark.parametrize("key", c.KEYS.values(), ids=lambda key: key.name)
def test_the_documentation_has_every_key_as_it_is(key: c.Key) -> None:
    assert reference_row(key) in REFERENCE.read_text().splitlines()


def test_the_documentation_has_no_key_that_is_gone() -> None:
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", REFERENCE.read_text(), re.M)) == set(c.KEYS)


@pytest.mark.parametrize(
    ("configured", "found"),
    [
        ("", "heart"),
        ("emma", "emma"),
        ("hibari/emma", "emma"),
        ("kokoro/emma", None),
        ("hibari/hibari/emma", None),
        ("hart", None),
        ("hibari/", None),
    ],
)
def test_a_default_voice_is_named_alone_or_after_its_engine(configured: str, found: str | None) -> None:
    engines = c.EnginesConfig(default_voice=configured)
    assert c.default_voice(engines, ["heart", "emma"]) == found


# -- lexicons -----------------------------------------------------------------------------------------------------


def test_lexicons_are_paths_beside_the_file_that_names_them(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '[text]\nlexicons = ["a.toml", "/srv/b.pls", { path = "more/c.xml", default = false }, '
        '{ name = "d", path = "a.toml" }]\n',
    )
    config = c.load_config(file)
    assert config.text.lexicons == (
        c.LexiconFile("a", str(tmp_path / "a.toml")),
        c.LexiconFile("b", "/srv/b.pls"),
        c.LexiconFile("c", str(tmp_path / "more" / "c.xml"), default=False),
        c.LexiconFile("d", str(tmp_path / "a.toml")),
    )
    other = write(tmp_path / "..", c.render_config(config))
    assert c.load_config(other) == config


def test_lexicons_of_the_environment_are_paths_beside_the_working_directory() -> None:
    found = c.load_config(env={"VOXWIRE_TEXT_LEXICONS": "a.toml, more/b.pls"}).text.lexicons
    assert [(each.name, each.path) for each in found] == [
        ("a", str(Path.cwd() / "a.toml")),
        ("b", str(Path.cwd() / "more" / "b.pls")),
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("3", "list of files"),
        ("[3]", "list of paths"),
        ('[{ paths = "a" }]', "list of paths"),
        ('[{ name = "a" }]', "without a path"),
        ('[{ path = " " }]', "without a path"),
        ('[{ path = "a", default = 1 }]', "neither true nor false"),
        ('[{ path = "a", name = "" }]', "name is not text"),
        ('["a.toml", "b/a.pls"]', "called 'a'"),
    ],
)
def test_lexicons_that_are_none_are_refused(tmp_path: Path, value: str, problem: str) -> None:
    with pytest.raises(c.ConfigError, match=problem) as refused:
        c.load_config(write(tmp_path, f"[text]\nlexicons = {value}\n"))
    assert refused.value.key == "text.lexicons"
