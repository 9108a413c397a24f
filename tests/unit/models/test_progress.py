"""What a person sees of a pull."""

from __future__ import annotations

import io

from voxwire_server.models.report import Printed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_redrawn_and_not_too_often() -> None:
    screen, now = Terminal(), [0.0]
    printed = Printed(screen, lambda: now[0])
    for done in range(0, 1_000_000, 1000):
        now[0] += 0.001
        printed.moved("a.whl", done, 1_000_000)
    printed.moved("a.whl", 1_000_000, 1_000_000)
    text = screen.getvalue()
    assert text.count("\n") == 1
    assert text.endswith("\r\x1b[Ka.whl  1.0 of 1.0 MB  100 %\n")
    assert 5 <= text.count("\r") <= 15


def test_a_note_does_not_run_into_the_line_that_is_redrawn() -> None:
    screen = Terminal()
    printed = Printed(screen, lambda: 0.0)
    printed.moved("a.whl", 250_000, 1_000_000)
    printed.note("it broke off")
    printed.close()
    assert screen.getvalue() == "\r\x1b[Ka.whl  0.2 of 1.0 MB  25 %\nit broke off\n"


def test_without_a_terminal_there_are_few_lines_and_no_control_characters() -> None:
    log = io.StringIO()
    printed = Printed(log, lambda: 0.0)
    for name in ("a.whl", "b.tgz"):
        for done in range(0, 1_000_001, 1000):
            printed.moved(name, done, 1_000_000)
    assert log.getvalue().splitlines() == [
        f"{name}  {size} of 1.0 MB  {share} %"
        for name in ("a.whl", "b.tgz")
        for size, share in (("0.0", 0), ("0.5", 50), ("1.0", 100))
    ]


def test_a_size_that_is_not_known_is_left_out() -> None:
    log = io.StringIO()
    Printed(log, lambda: 0.0).moved("a.whl", 500_000, 0)
    assert log.getvalue() == "a.whl  0.5 MB\n"


def test_a_pull_goes_on_when_its_output_is_closed() -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    printed = Printed(Gone(), lambda: 0.0)
    printed.moved("a.whl", 1, 2)
    printed.note("still here")
    printed.close()
