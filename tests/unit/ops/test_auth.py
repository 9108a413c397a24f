"""Who may come in, and who may not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import ApiKey, AuthConfig, ServerConfig
from voxwire_server.ops.auth import (
    PEERS_MAX,
    FailureCounts,
    Gate,
    Identity,
    Presented,
    Via,
    generate_key,
    hash_key,
)

KEY = "vw_" + "k" * 43
OTHER_KEY = "vw_" + "o" * 43
SECRET = "s" * 32
NOW = 1_800_000_000.0


def gate(*, keys: bool = True, origins: tuple[str, ...] = (), insecure: bool = False, secret: str = SECRET) -> Gate:
    known = (ApiKey("agent", hash_key(KEY)), ApiKey("web", hash_key(OTHER_KEY))) if keys else ()
    auth = AuthConfig(keys=known, token_secret=secret, token_ttl_seconds=60, failures_per_minute=3)
    return Gate(auth, ServerConfig(origins=origins, insecure=insecure))


def headers(**fields: str) -> Presented:
    return Presented({"host": "localhost:8765", **{name.replace("_", "-"): value for name, value in fields.items()}})


def refusal(of: Gate, presented: Presented, now: float = NOW) -> VoxwireError:
    with pytest.raises(VoxwireError) as caught:
        of.admit(presented, now)
    return caught.value


# -- keys -----------------------------------------------------------------------------------------------------------


def test_new_keys_are_long_random_and_safe_in_a_header() -> None:
    keys = {generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"vw_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_a_hash_is_sha256() -> None:
    # FIPS 180-4: SHA-256 of "abc".
    assert hash_key("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "presented",
    [
        headers(authorization=f"Bearer {KEY}"),
        headers(authorization=f"bearer  {KEY} "),
        headers(x_api_key=KEY),
        headers(authorization="Basic eDp5", x_api_key=KEY),
    ],
)
def test_a_key_is_taken_from_its_headers(presented: Presented) -> None:
    assert gate().admit(presented, NOW) == Identity("agent", Via.KEY)


def test_each_key_has_its_own_name() -> None:
    assert gate().admit(headers(x_api_key=OTHER_KEY), NOW).name == "web"


@pytest.mark.parametrize(
    "presented",
    [
        headers(),
        headers(authorization=KEY),
        headers(authorization="Bearer "),
        headers(authorization=f"Basic {KEY}"),
        headers(x_api_key=KEY[:-1]),
        headers(x_api_key=KEY + "k"),
        headers(x_api_key=hash_key(KEY)),
        headers(x_api_key="\xff" * 20),
        headers(x_api_key="k" * 100_000),
        headers(authorization=f"Bearer {'k' * 43}", x_api_key=KEY),
    ],
)
def test_anything_but_a_key_is_refused(presented: Presented) -> None:
    assert refusal(gate(), presented).code is ErrorCode.NOT_AUTHENTICATED


def test_a_refusal_never_repeats_what_was_presented() -> None:
    error = refusal(gate(), headers(x_api_key="vw_secret-but-wrong"))
    assert "secret-but-wrong" not in f"{error} {error.hint} {error.details}"


def test_a_key_in_a_url_is_refused() -> None:
    for presented in (
        Presented({"host": "localhost"}, query={"token": KEY}),
        Presented({"host": "localhost"}, subprotocols=(f"voxwire.token.{KEY}",)),
    ):
        error = refusal(gate(), presented)
        assert error.code is ErrorCode.NOT_AUTHENTICATED
        assert "URL" in error.message


def test_without_keys_every_request_on_the_machine_is_accepted() -> None:
    assert gate(keys=False).admit(headers(), NOW) == Identity("anonymous", Via.OPEN)
    assert gate(keys=False).admit(headers(x_api_key="anything"), NOW) == Identity("anonymous", Via.OPEN)


# -- tokens ---------------------------------------------------------------------------------------------------------


def token_of(issuer: Gate, name: str = "agent") -> str:
    return issuer.mint(Identity(name, Via.KEY), NOW).text


def with_token(token: str) -> Presented:
    return Presented({"host": "localhost"}, query={"token": token})


def test_a_token_is_accepted_in_every_place() -> None:
    door = gate()
    token = token_of(door)
    for presented in (
        with_token(token),
        Presented({}, subprotocols=("voxwire.v1.json", f"voxwire.token.{token}")),
        headers(authorization=f"Bearer {token}"),
    ):
        assert door.admit(presented, NOW) == Identity("agent", Via.TOKEN)


def test_a_token_is_a_valid_subprotocol_name() -> None:
    # RFC 6455 section 4.1: the elements are RFC 2616 tokens.
    assert re.fullmatch(r"[A-Za-z0-9._-]+", token_of(gate()))


def test_a_token_ends_on_time() -> None:
    door = gate()
    token = door.mint(Identity("agent", Via.KEY), NOW)
    assert (token.expires_at, token.expires_in) == (NOW + 60, 60)
    door.admit(with_token(token.text), NOW + 59.9)
    assert "expired" in refusal(door, with_token(token.text), NOW + 60).message


def test_a_token_is_taken_by_every_server_with_the_same_secret() -> None:
    assert gate().admit(with_token(token_of(gate())), NOW).name == "agent"
    assert refusal(gate(secret="x" * 32), with_token(token_of(gate()))).code is ErrorCode.NOT_AUTHENTICATED


def test_without_a_configured_secret_every_server_has_its_own() -> None:
    assert refusal(gate(secret=""), with_token(token_of(gate(secret="")))).code is ErrorCode.NOT_AUTHENTICATED


def test_a_token_ends_with_the_key_behind_it() -> None:
    assert "gone" in refusal(gate(), with_token(token_of(gate(), "someone-else"))).message


def test_a_token_ends_when_its_key_is_replaced_by_another_of_the_same_name() -> None:
    before = gate()
    token = token_of(before)
    auth = AuthConfig(keys=(ApiKey("agent", hash_key("vw_new")),), token_secret=SECRET)
    assert "gone" in refusal(Gate(auth, ServerConfig(), before), with_token(token)).message


def test_a_gate_keeps_the_tokens_and_failures_of_the_one_it_replaces() -> None:
    before = gate(secret="")
    token = token_of(before)
    wrong = Presented({"x-api-key": "no"}, peer="a")
    for _ in range(3):
        refusal(before, wrong)
    auth = AuthConfig(keys=(ApiKey("agent", hash_key(KEY)),), failures_per_minute=3)
    after = Gate(auth, ServerConfig(), before)
    assert after.admit(with_token(token), NOW).name == "agent"
    assert refusal(after, wrong).code is ErrorCode.RATE_LIMITED
    assert refusal(after, headers(x_api_key=OTHER_KEY)).code is ErrorCode.NOT_AUTHENTICATED, "web is gone"


def test_a_token_is_refused_where_a_key_is_needed() -> None:
    door = gate()
    with pytest.raises(VoxwireError) as caught:
        door.admit(with_token(token_of(door)), NOW, tokens=False)
    assert caught.value.code is ErrorCode.NOT_ALLOWED
    assert caught.value.hint
    assert door.admit(headers(x_api_key=KEY), NOW, tokens=False).via is Via.KEY
    assert gate(keys=False).admit(headers(), NOW, tokens=False).via is Via.OPEN


def test_a_token_makes_no_tokens() -> None:
    with pytest.raises(VoxwireError) as caught:
        gate().mint(Identity("agent", Via.TOKEN), NOW)
    assert caught.value.code is ErrorCode.NOT_ALLOWED


def test_no_two_tokens_are_alike() -> None:
    door = gate()
    assert len({token_of(door) for _ in range(20)}) == 20


@given(st.integers(0, 200), st.characters(codec="utf-8"))
def test_a_changed_token_is_refused(place: int, character: str) -> None:
    door = gate()
    token = token_of(door)
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        assert refusal(door, with_token(changed)).code is ErrorCode.NOT_AUTHENTICATED


@given(st.text(max_size=600))
def test_any_text_as_a_token_is_refused_by_name(text: str) -> None:
    assert refusal(gate(), with_token(text)).code is ErrorCode.NOT_AUTHENTICATED


# -- repeated failures ------------------------------------------------------------------------------------------------


def test_repeated_failures_are_rate_limited_and_a_right_key_is_still_accepted() -> None:
    door = gate()
    wrong, right = Presented({"x-api-key": "no"}, peer="a"), Presented({"x-api-key": KEY}, peer="a")
    assert [refusal(door, wrong).code for _ in range(3)] == [ErrorCode.NOT_AUTHENTICATED] * 3
    error = refusal(door, wrong, NOW + 20)
    assert error.code is ErrorCode.RATE_LIMITED
    assert error.retry_after_ms == 40_001
    assert door.admit(right, NOW).name == "agent"
    assert refusal(door, Presented({"x-api-key": "no"}, peer="b")).code is ErrorCode.NOT_AUTHENTICATED
    assert refusal(door, wrong, NOW + 60).code is ErrorCode.NOT_AUTHENTICATED


def test_failures_of_many_addresses_do_not_pile_up() -> None:
    counts = FailureCounts(1)
    for number in range(3 * PEERS_MAX):
        counts.add(str(number), NOW)
    assert len(counts) == PEERS_MAX


def test_a_clock_that_is_set_back_locks_no_address_out() -> None:
    counts = FailureCounts(1)
    counts.add("a", NOW)
    assert counts.add("a", NOW) > 0
    assert counts.add("a", NOW - 3600) == 0


# -- origins and hosts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8765", "localhost:8765"),
        ("http://LOCALHOST", "localhost"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost"),
        ("http://[::1]:8765", "[::1]:8765"),
        ("https://app.example.com", "localhost:8765"),
        ("https://app.example.com:443", "localhost:8765"),
        ("http://dev.example.com:3000", "localhost:8765"),
    ],
)
def test_pages_of_this_host_and_of_listed_origins_may_connect(origin: str, host: str) -> None:
    door = gate(keys=False, origins=("https://App.example.com", "http://dev.example.com:3000"))
    door.admit(Presented({"host": host, "origin": origin}), NOW)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.example",
        "http://localhost:3000",
        "null",
        "",
        "https://",
        "http://localhost:99999",
        "http://[",
    ],
)
def test_pages_of_other_origins_may_not_even_with_a_key(origin: str) -> None:
    door = gate(origins=("https://app.example.com",))
    error = refusal(door, Presented({"host": "localhost:8765", "origin": origin, "x-api-key": KEY}))
    assert error.code is ErrorCode.NOT_ALLOWED


def test_a_star_allows_every_origin() -> None:
    gate(keys=False, origins=("*",)).admit(headers(origin="null"), NOW)


def test_without_keys_a_name_that_is_made_to_point_here_is_refused() -> None:
    rebound = Presented({"host": "evil.example:8765", "origin": "http://evil.example:8765"})
    assert refusal(gate(keys=False), rebound).code is ErrorCode.NOT_ALLOWED
    assert refusal(gate(keys=False), Presented({"host": "evil.example:8765"})).code is ErrorCode.NOT_ALLOWED
    assert refusal(gate(keys=False), Presented({"host": "evil.example:nan"})).code is ErrorCode.NOT_ALLOWED


def test_any_host_is_accepted_where_it_is_listed_or_with_a_key_or_insecure() -> None:
    named = Presented({"host": "voice.example.com"})
    gate(keys=False, origins=("https://voice.example.com",)).admit(named, NOW)
    gate(keys=False, insecure=True).admit(named, NOW)
    gate().admit(Presented({"host": "voice.example.com", "x-api-key": KEY}), NOW)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
def test_without_keys_pages_of_other_sites_are_refused(site: str) -> None:
    presented = Presented({"host": "localhost:8765", "sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
    assert refusal(gate(keys=False), presented).code is ErrorCode.NOT_ALLOWED
    assert gate(keys=False, origins=("*",)).admit(presented, NOW)


@pytest.mark.parametrize("site", ["none", "same-origin", "Same-Origin", ""])
def test_the_address_bar_and_the_servers_own_page_may(site: str) -> None:
    assert gate(keys=False).admit(Presented({"host": "localhost:8765", "sec-fetch-site": site}), NOW)


def test_a_listed_page_that_sends_its_origin_may() -> None:
    sent = {"host": "localhost:8765", "sec-fetch-site": "cross-site", "origin": "https://app.example.com"}
    assert gate(keys=False, origins=("https://app.example.com",)).admit(Presented(sent), NOW)


def test_with_keys_sec_fetch_site_is_not_checked() -> None:
    sent = {"host": "voxwire.example", "sec-fetch-site": "cross-site", "authorization": f"Bearer {KEY}"}
    assert gate().admit(Presented(sent), NOW)
