"""How often a token resumes its session."""

from __future__ import annotations

import itertools

from voxwire_server.session.resume import USES_MAX, ResumeTokens


def make_tokens() -> ResumeTokens:
    names = (f"token-{number}" for number in itertools.count())
    return ResumeTokens(lambda: next(names))


def test_a_used_token_is_accepted_once_more_and_not_twenty_times():
    """Each `resumed` arrives, and no message follows it."""
    tokens = make_tokens()
    taken = []
    for _ in range(20):
        taken.append(tokens.redeem("token-0"))
        tokens.arrived()
    assert taken == [True, True] + [False] * 18


def test_lost_answers_in_a_row_lose_no_session():
    tokens = make_tokens()
    assert all(tokens.redeem("token-0") for _ in range(12))
    newest = tokens.current
    assert tokens.redeem(newest)
    assert not tokens.redeem("token-0")


def test_uses_of_one_token_are_bounded():
    tokens = make_tokens()
    assert sum(tokens.redeem("token-0") for _ in range(100)) == USES_MAX < 20


def test_after_a_message_the_used_token_is_refused():
    tokens = make_tokens()
    assert tokens.redeem("token-0")
    tokens.confirm()
    assert not tokens.redeem("token-0")
    assert tokens.redeem(tokens.current)


def test_a_token_of_a_superseded_answer_is_refused():
    tokens = make_tokens()
    tokens.redeem("token-0")
    overtaken = tokens.current
    tokens.redeem("token-0")
    assert not tokens.redeem(overtaken)
    assert tokens.redeem(tokens.current)
