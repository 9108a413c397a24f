"""Builds the golden vectors that are scripts: what a client does, what goes over the wire, what its listener gets.

Beside it stand the protocol's rules on what was heard and on where speech goes on, read as plainly as possible.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

FRAME_SAMPLES = 80
AUDIO = {"codec": "pcm_s16le", "sample_rate": 8000, "frame_ms": 10, "frame_samples": FRAME_SAMPLES}
GRANTED = {"voice": "heart", "audio": {"codec": "pcm_s16le", "sample_rate": 8000, "frame_ms": 10}}
LIMITS = {
    "message_bytes_max": 1048576,
    "contexts_max": 32,
    "text_chars_max": 20000,
    "unspoken_chars_max": 50000,
    "context_chars_max": 1000000,
}
SPACES = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}

Clause = tuple[int, int, int]
"""First character, the one after the last, pts."""
Word = tuple[str, int, int, int, int]
"""Text, first character, the one after the last, pts, end_pts."""


def is_space(character: str) -> bool:
    """Whether words end at it."""
    return character in SPACES


def closes(character: str) -> bool:
    """Whether it belongs to the word before it, such as a full stop."""
    return not is_space(character) and unicodedata.category(character)[0] not in "LN"


@dataclass
class ReceivedText:
    """What a client knows of a context, by its own clock: text, clauses, words, audio."""

    text: str = ""
    clauses: list[Clause] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    received: int = 0
    whole: int = 0
    """Where the newest utterance ended of which the last frame came."""
    end: int | None = None
    """`done.samples`."""

    def report(self, played_pts: int) -> dict[str, Any]:
        """What was heard once `played_pts` is reached, and what was not."""
        pts = min(played_pts, self.received)
        chars, word = self._heard(pts)
        heard: dict[str, Any] = {"pts": pts, "chars": chars, "text": self.text[:chars]}
        if word is not None:
            heard["word"] = word
        return {"heard": heard, "unheard": {"chars": len(self.text) - chars, "text": self.text[chars:]}}

    def _heard(self, pts: int) -> tuple[int, str | None]:
        begun = [clause for clause in self.clauses if clause[2] <= pts]
        if not begun:
            return 0, None
        start, last, at = begun[-1]
        end = self.clauses[len(begun)][2] if len(begun) < len(self.clauses) else self.end
        if end is not None and pts >= end:
            return last, None
        chars = max([start, *(clause[1] for clause in begun[:-1])])
        if pts == at:
            return chars, None
        words = [word for word in self.words if at <= word[3] and (end is None or word[3] < end)]
        if words:
            return self._by_words(words, pts, chars)
        return (chars if end is None else max(chars, self._evenly(begun[-1], end, pts))), None

    @staticmethod
    def _by_words(words: list[Word], pts: int, chars: int) -> tuple[int, str | None]:
        sounding = next((index for index, word in enumerate(words) if word[4] > pts), len(words))
        whole = max([chars, *(word[2] for word in words[:sounding])])
        rest = words[sounding:]
        return whole, rest[0][0] if rest and rest[0][3] < pts else None

    def _evenly(self, clause: Clause, end: int, pts: int) -> int:
        start, last, at = clause
        reached = start + (last - start) * (pts - at) // (end - at)
        spaces = [index + 1 for index in range(start, reached) if is_space(self.text[index])]
        return max([start, *spaces])

    def goes_on_at(self) -> int:
        """The first character that another session has to speak."""
        pts = self.received
        begun = [clause for clause in self.clauses if clause[2] < pts]
        if not begun:
            return 0
        start, last, at = begun[-1]
        following = self.clauses[len(begun) :]
        if pts <= self.whole or (following and following[0][2] <= pts):
            return last
        words = [word for word in self.words if word[3] >= at and start <= word[1] < last]
        if not words:
            return start
        broken = next((index for index, word in enumerate(words) if word[4] > pts), None)
        if broken is None:
            return self._behind(words[-1][2], last)
        first = words[broken][1]
        least = words[broken - 1][2] if broken else start
        return max([least, *(index + 1 for index in range(least, first) if is_space(self.text[index]))])

    def _behind(self, char: int, last: int) -> int:
        while char < last and closes(self.text[char]):
            char += 1
        return last if all(map(is_space, self.text[char:last])) else char

    def restart(self) -> tuple[int, int]:
        """Another session goes on; returns the pts and the character at which it does."""
        pts, chars = self.received, self.goes_on_at()
        self.clauses = [
            (start, min(last, max(start, chars)), at) for start, last, at in self.clauses if at < pts and start <= chars
        ]
        self.words = [word for word in self.words if word[2] <= chars and word[4] <= pts]
        return pts, chars


class Script:
    """One vector. Every method adds a step, or says what the listener of a context has got in the end."""

    def __init__(self, name: str, *, needs: tuple[str, ...] = ()) -> None:
        self.steps: list[dict[str, Any]] = []
        self.listeners: dict[str, dict[str, Any]] = {}
        self.contexts_received: dict[str, ReceivedText] = {}
        self._name = name
        self._needs = needs
        self._connections = 0
        self._received = 0
        """What the client has to count of the session."""
        self._fresh = 0
        self._resuming = False
        self._offsets: dict[str, tuple[int, int, int]] = {}
        self.connect()

    def vector(self) -> dict[str, Any]:
        """What is written to the file."""
        return {"name": self._name, "needs": list(self._needs), "steps": self.steps, "listeners": self.listeners}

    def _step(self, step: str, **fields: Any) -> Script:
        self.steps.append({"step": step, **fields})
        return self

    # -- the connection ---------------------------------------------------------------------------------------------

    def connect(self, resume: str | None = None) -> Script:
        """The client connects, and is greeted as the n-th session."""
        self._connections += 1
        number = self._connections
        self._step("connect", resume=resume)
        self._resuming, self._fresh = resume is not None, 0
        facts = {"heartbeat_ms": 60000, "resume_window_ms": 30000, "limits": LIMITS}
        return self.come(type="ready", session=f"s{number}", token=f"t{number}", **facts)

    def drop(self) -> Script:
        """The server closes with 1001 when everything that came before has been read."""
        return self._step("drop", code=1001)

    def pause(self, ms: int) -> Script:
        """The server waits."""
        return self._step("pause", ms=ms)

    def resume(self, session: str, token: str, received: int, **rest: Any) -> Script:
        """The client comes back, and asks for its session."""
        assert received == self._received, f"{self._name}: {self._received} were received"
        self.connect(session)
        return self.say(type="resume", session=session, token=token, received=received, **rest)

    def resumed(self, token: str, received: int, **contexts: Any) -> Script:
        """The session goes on."""
        self._resuming = False
        return self.come(type="resumed", token=token, received=received, contexts=contexts)

    def anew(self, contexts: str = "a", reason: str = "unknown") -> Script:
        """The session is gone; speech of `contexts` goes on elsewhere, as the rules say."""
        self.come(type="resume_failed", reason=reason)
        self._resuming, self._received = False, self._fresh
        for context in contexts:
            received = self.contexts_received[context]
            pts, chars = received.restart()
            self._offsets[context] = (pts // FRAME_SAMPLES, pts, chars)
        return self

    # -- what goes over the wire --------------------------------------------------------------------------------------

    def say(self, *, lost: bool = False, **message: Any) -> Script:
        """The client says this next; the server never gets what is `lost`."""
        return self._step("say", message=message, lost=lost)

    def come(self, **message: Any) -> Script:
        """The server says this."""
        self._count(message["type"] not in ("ready", "resumed", "resume_failed"))
        return self._step("come", message=message)

    def _count(self, count: int) -> None:
        if self._resuming:
            self._fresh += count
        else:
            self._received += count

    def open(self, text: str, context: str = "a", number: int = 0, *, seq: int = 0, end: bool = False) -> Script:
        """A context's first text is written, granted and accepted."""
        self.write(text, context).say(type="start", context=context)
        self.say(type="text", context=context, text=text, seq=seq)
        if end:
            self._step("end", context=context).say(type="end", context=context)
        return self.started(context, number).accepted(len(text), seq, context)

    def started(self, context: str = "a", number: int = 0) -> Script:
        """The server opens a context."""
        facts = {"voice": "heart", "engine": "tone", "audio": {**AUDIO, "lookahead_samples": 0}}
        return self.come(type="started", context=context, number=number, **facts)

    def accepted(self, chars: int, seq: int, context: str = "a") -> Script:
        """The server takes a text."""
        return self.come(type="accepted", context=context, chars=chars, text_seq=seq)

    def again(self, *texts: str, context: str = "a", number: int = 0, end: bool = True) -> Script:
        """The fresh session is asked to speak the rest, as it was granted before."""
        rest = self.contexts_received[context].text[self._offsets[context][2] :]
        assert "".join(texts) == rest, f"{self._name}: {rest!r} is left"
        self.say(type="start", context=context, **GRANTED).started(context, number)
        for seq, text in enumerate(texts):
            self.say(type="text", context=context, text=text, seq=seq)
        return self.say(type="end", context=context) if end else self

    def clause(self, start: int, last: int, pts: int, *words: Word, context: str = "a") -> Script:
        """A clause, and its words in one `timing`. Numbers are those of the session that speaks."""
        received, (_, at, chars) = self.contexts_received[context], self._offsets.get(context, (0, 0, 0))
        received.clauses.append((start + chars, last + chars, pts + at))
        self.come(type="clause", context=context, chars=[start, last], pts=pts)
        return self.timing(*words, context=context) if words else self

    def timing(self, *words: Word, context: str = "a") -> Script:
        """Words that sound."""
        received, (_, at, chars) = self.contexts_received[context], self._offsets.get(context, (0, 0, 0))
        received.words += [(t, a + chars, b + chars, pts + at, end + at) for t, a, b, pts, end in words]
        maps = [{"text": t, "chars": [a, b], "pts": pts, "end_pts": end} for t, a, b, pts, end in words]
        return self.come(type="timing", context=context, words=maps)

    def frames(
        self, first_seq: int, count: int, *, number: int = 0, last: bool = False, context: str = "a", **more: Any
    ) -> Script:
        """Audio frames. Every sample of the first is `value`, of the next one more."""
        value = more.pop("value", first_seq + 1)
        self._count(count)
        received, (_, at, _) = self.contexts_received[context], self._offsets.get(context, (0, 0, 0))
        received.received = max(received.received, at + (first_seq + count) * FRAME_SAMPLES)
        if last:
            received.whole = received.received
        facts = {"first_seq": first_seq, "count": count, "value": value, "last": last}
        return self._step("frames", number=number, **facts, replayed=more.get("replayed", False))

    def done(self, frames: int, samples: int, chars: int, reason: str = "completed", context: str = "a") -> Script:
        """The server's last word; numbers are those of the session that speaks."""
        self.contexts_received[context].end = samples + self._offsets.get(context, (0, 0, 0))[1]
        facts = {"frames": frames, "samples": samples, "chars": chars}
        self.come(type="done", context=context, reason=reason, **facts)
        return self.wait("done", 1, context)

    # -- what the client does -----------------------------------------------------------------------------------------

    def write(self, text: str, context: str = "a") -> Script:
        """The caller writes text."""
        self.contexts_received.setdefault(context, ReceivedText()).text += text
        return self._step("write", context=context, text=text)

    def more(self, text: str, seq: int, context: str = "a", *, lost: bool = False) -> Script:
        """The caller writes text, and the client says it."""
        return self.write(text, context).say(lost=lost, type="text", context=context, text=text, seq=seq)

    def flush(self, id: str, context: str = "a", *, lost: bool = False) -> Script:
        """The caller flushes, and the client says it."""
        return self._step("flush", context=context, id=id).say(lost=lost, type="flush", context=context, id=id)

    def end(self, context: str = "a", *, lost: bool = False) -> Script:
        """The caller ends the text, and the client says it."""
        return self._step("end", context=context).say(lost=lost, type="end", context=context)

    def retract(self, from_char: int, left: int, context: str = "a") -> Script:
        """The caller retracts; `left` characters stay. What is said and answered follows by hand."""
        received = self.contexts_received[context]
        received.text = received.text[:left]
        return self._step("retract", context=context, from_char=from_char, left=left)

    def cancel(self, played_pts: int, report: dict[str, Any] | None = None, context: str = "a") -> Script:
        """The caller interrupts, and is told what was heard; left out, as it is worked out by the client."""
        report = self.contexts_received[context].report(played_pts) if report is None else report
        return self._step("cancel", context=context, played_pts=played_pts, **report)

    def wait(self, kind: str, count: int, context: str = "a") -> Script:
        """The caller waits until its listener has got so many of a kind in all."""
        return self._step("wait", context=context, kind=kind, count=count)

    def reports(self, *played: int, context: str = "a") -> Script:
        """The caller asks what was heard at some positions."""
        for pts in played:
            self._step("report", context=context, played_pts=pts, **self.contexts_received[context].report(pts))
        return self

    def step_end(self, context: str) -> Script:
        """The caller ends the text; when the client says so is written by hand."""
        return self._step("end", context=context)

    def spoken_at_last(self) -> Script:
        """What was written to `b` meanwhile is said to the session that goes on."""
        self.say(type="start", context="b").started("b", 1).say(type="text", context="b", text="So.", seq=0)
        return self.say(type="end", context="b").accepted(3, 0, "b")

    # -- what its listener got ----------------------------------------------------------------------------------------

    def listener(self, context: str = "a", **got: Any) -> Script:
        """What the listener of a context has got in the end; what is left out is not looked at."""
        self.listeners[context] = got
        return self


def audio(*runs: tuple[int, int]) -> list[list[int]]:
    """Frames as a listener gets them, seq, pts and the value of the samples: runs of (first value, count)."""
    values = [value for first, count in runs for value in range(first, first + count)]
    return [[seq, seq * FRAME_SAMPLES, value] for seq, value in enumerate(values)]
