"""What of a configuration can change while the server runs, and what becomes of SIGHUP."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading

import pytest

from voxwire_server.config import KEYS, ConfigError, load_config
from voxwire_server.ops.auth import hash_key
from voxwire_server.ops.reload import CHANGEABLE_KEYS, CHANGEABLE_SECTIONS, Hangups, changeable, reloaded

ALICE, BOB = hash_key("alice"), hash_key("bob")


def test_what_can_change_exists() -> None:
    assert set(KEYS) >= CHANGEABLE_KEYS
    assert {name.partition(".")[0] for name in KEYS} >= CHANGEABLE_SECTIONS


def test_what_can_change_is_taken_over_and_the_rest_is_named() -> None:
    old = load_config(flags={"server.port": 1000, "limits.contexts_max": 8})
    given = load_config(flags={"server.port": 2000, "limits.contexts_max": 9, "aliases.voices": "a=heart"})
    found = reloaded(old, given)
    assert found.changed == ("limits.contexts_max", "aliases.voices")
    assert found.restart == ("server.port",)
    assert (found.config.server.port, found.config.limits.contexts_max) == (1000, 9)
    assert old.limits.contexts_max == 8


def test_the_same_configuration_changes_nothing() -> None:
    config = load_config(flags={"auth.keys": {"alice": ALICE}})
    found = reloaded(config, load_config(flags={"auth.keys": {"alice": ALICE}}))
    assert found.config == config
    assert (found.changed, found.restart, found.added, found.revoked) == ((), (), (), ())
    assert str(found) == "changed: nothing"


def test_keys_that_are_new_gone_or_replaced_are_named_without_their_hashes() -> None:
    old = load_config(flags={"auth.keys": {"alice": ALICE, "bob": BOB}})
    found = reloaded(old, load_config(flags={"auth.keys": {"alice": hash_key("other"), "carol": hash_key("carol")}}))
    assert found.added == ("alice", "carol")
    assert found.revoked == ("alice", "bob")
    assert "sha256" not in str(found)


def test_a_secret_is_changed_by_name_alone() -> None:
    found = reloaded(load_config(), load_config(flags={"auth.token_secret": "s" * 40}))
    assert found.changed == ("auth.token_secret",)
    assert "sss" not in str(found)


def test_a_server_with_keys_is_not_opened_by_a_reload() -> None:
    with pytest.raises(ConfigError, match="restart"):
        reloaded(load_config(flags={"auth.keys": {"alice": ALICE}}), load_config())
    # Each is a configuration that can be used; what would be in force is not.
    beyond = load_config(flags={"auth.keys": {"alice": ALICE}, "server.host": "0.0.0.0"})
    with pytest.raises(ConfigError):
        reloaded(beyond, load_config(flags={"server.host": "127.0.0.1"}))


def test_a_reload_whose_result_contradicts_itself_is_refused() -> None:
    old = load_config(flags={"server.host": "0.0.0.0", "server.insecure": True})
    old = dataclasses.replace(old, server=dataclasses.replace(old.server, insecure=False))
    with pytest.raises(ConfigError, match=r"server\.host"):
        reloaded(old, load_config(flags={"limits.contexts_max": 9}))


def test_where_values_come_from_is_known_afterwards() -> None:
    old = load_config(flags={"server.port": 1}, env={"VOXWIRE_LIMITS_CONTEXTS_MAX": "3"})
    found = reloaded(old, load_config(env={"VOXWIRE_SERVER_PORT": "1", "VOXWIRE_LIMITS_TEXT_CHARS_MAX": "9"}))
    assert found.config.sources == {"server.port": "flag", "limits.text_chars_max": "VOXWIRE_LIMITS_TEXT_CHARS_MAX"}


@pytest.mark.parametrize("name", ["server.host", "server.port", "engines.enabled", "compat.enabled", "server.node"])
def test_settings_read_at_the_start_need_a_restart(name: str) -> None:
    assert not changeable(name)


# -- SIGHUP -------------------------------------------------------------------------------------------------------


@pytest.fixture
def hangups():
    before = signal.getsignal(signal.SIGHUP)
    found = Hangups()
    found.catch()
    yield found
    signal.signal(signal.SIGHUP, before)


def test_a_hangup_before_the_server_listens_is_kept_once(hangups: Hangups) -> None:
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGHUP)
    told: list[int] = []
    hangups.listen(lambda: told.append(1))
    assert told == [1]
    os.kill(os.getpid(), signal.SIGHUP)
    assert told == [1, 1]


def test_outside_the_main_thread_no_signal_is_caught() -> None:
    before = signal.getsignal(signal.SIGHUP)
    thread = threading.Thread(target=Hangups().catch)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGHUP) is before
