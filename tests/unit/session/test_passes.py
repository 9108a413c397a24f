"""How often a resume token opens its session."""

from __future__ import annotations

import itertools

from voxwire_server.session.resume_tokens import USES_MAX, ResumeTokens


def resume_tokens() -> ResumeTokens:
    tokens = (f"token-{number}" for number in itertools.count())
    return ResumeTokens(lambda: next(tokens))


def test_a_used_token_passes_once_more_and_not_twenty_times():
    """Each `resumed` arrives, and no message follows it."""
    found = resume_tokens()
    taken = []
    for _ in range(20):
        taken.append(found.redeem("token-0"))
        found.arrived()
    assert taken == [True, True] + [False] * 18


def test_answers_that_are_lost_one_after_the_other_lose_no_session():
    found = resume_tokens()
    assert all(found.redeem("token-0") for _ in range(12))
    newest = found.current
    assert found.redeem(newest)
    assert not found.redeem("token-0")


def test_even_what_is_lost_has_a_bound():
    found = resume_tokens()
    assert sum(found.redeem("token-0") for _ in range(100)) == USES_MAX < 20


def test_after_a_message_the_used_token_is_worth_nothing():
    found = resume_tokens()
    assert found.redeem("token-0")
    found.confirm()
    assert not found.redeem("token-0")
    assert found.redeem(found.current)


def test_a_token_of_an_answer_that_was_overtaken_is_worth_nothing():
    found = resume_tokens()
    found.redeem("token-0")
    overtaken = found.current
    found.redeem("token-0")
    assert not found.redeem(overtaken)
    assert found.redeem(found.current)
