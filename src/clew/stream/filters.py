"""Which events a tailer hands on: by name, family, level and verbosity, at the cost of one look at a line's head."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Final

from clew.errors import ConfigError
from clew.model.events import decode_event
from clew.model.levels import FAMILIES, LEVEL_RANK, LEVELS, Verbosity, family_of, shows

ERROR_WORD: Final = "error"
USER_FAMILY: Final = "user"
MOST_DECISIONS_KEPT: Final = 4096
"""A program may put numbers into its event names; the table of decisions must not grow with them."""

# What Clew writes: `{"timestamp":"<27>","run_id":"<32>","event":"...","level":"..."`. In valid JSON the quotes of
# `","event":"` are never inside a string, where they would be escaped; and at these offsets they are not inside
# the payload either. Every other line is decoded.
_RUN_AT: Final = slice(41, 53)
_RUN: Final = b'","run_id":"'
_EVENT_AT: Final = 85
_EVENT: Final = b'","event":"'
_LEVEL: Final = b'","level":"'
_NAME_AT: Final = _EVENT_AT + len(_EVENT)

_Test = Callable[[str, str], bool]


class EventFilter:
    """What a reader wants to see of a run.

    A filter without patterns shows what its verbosity names. Patterns that name events replace that set, and
    patterns after `!` take events away from either. A level is a lower bound in every case.
    """

    def __init__(
        self,
        patterns: Sequence[str] = (),
        *,
        level: str | None = None,
        verbosity: Verbosity | None = None,
    ) -> None:
        """Args: patterns: globs over event names, families, or `error`; `!` before one takes away.
        level: the least level shown, one of DEBUG, INFO, WARNING, ERROR. verbosity: None shows all names.
        """
        self.patterns = tuple(patterns)
        self.level = level
        self.verbosity = verbosity
        self._wanted = [_test_of(text) for text in self.patterns if not text.startswith("!")]
        self._unwanted = [_test_of(text[1:]) for text in self.patterns if text.startswith("!")]
        self._least = LEVEL_RANK["DEBUG"] if level is None else LEVEL_RANK[level]
        self._decisions: dict[bytes, bool] = {}
        names_all = "*" in self.patterns or (not self._wanted and verbosity in {None, Verbosity.DEBUG})
        self.passes_everything: Final = names_all and not self._unwanted and self._least == 0

    @classmethod
    def parse(cls, filter_text: str | None, level_text: str | None) -> EventFilter:
        """Read what a user wrote in `--telemetry-filter` and `--telemetry-level`.

        Args: filter_text: patterns with commas between them. level_text: a level, which is then the least one
            shown, or a verbosity; `debug` is both. Where it is not given, verbosity is `normal`.
        Raises: ConfigError: a pattern that is only `!`, or a word that is neither a level nor a verbosity.
        """
        patterns = [part.strip() for part in (filter_text or "").split(",") if part.strip()]
        if "!" in patterns:
            raise ConfigError(
                f"telemetry filter {filter_text!r}: write a name after '!', as in '!node_started'"
            )
        for pattern in patterns:
            if "[" in pattern and "]" not in pattern[pattern.rindex("[") + 2 :]:
                raise ConfigError(
                    f"telemetry filter {filter_text!r}: {pattern!r} opens a '[' that no ']' closes, so it means nothing"
                )
        word = (level_text or "").strip().lower() or Verbosity.NORMAL.value
        if word in set(Verbosity):
            return cls(patterns, verbosity=Verbosity(word))
        if word.upper() in LEVELS:
            return cls(patterns, level=word.upper())
        raise ConfigError(_unknown_level(word))

    @property
    def whole_payloads(self) -> bool:
        """Whether a format for people shows payloads unshortened."""
        return self.verbosity is Verbosity.DEBUG

    def passes(self, event: str, level: str) -> bool:
        """Say whether an event of that name and level is shown."""
        if LEVEL_RANK.get(level, 1) < self._least:
            return False
        if any(matches(event, level) for matches in self._unwanted):
            return False
        if self._wanted:
            return any(matches(event, level) for matches in self._wanted)
        return self.verbosity is None or shows(self.verbosity, event, level)

    def select(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Return the lines that pass, in order: `lines` itself, undecoded, where everything does.

        Where something is filtered, a line that is no event passes no filter. About 0.5 us a line.
        """
        if self.passes_everything:
            return lines
        decided = self._decisions.get
        kept = []
        for line in lines:
            end = line.find(b'"', line.find(b'"', _NAME_AT) + len(_LEVEL))
            passes = decided(line[_EVENT_AT:end]) if line[_RUN_AT] == _RUN else None
            if passes is None:
                passes = self._decide(line, end)
            if passes:
                kept.append(line)
        return kept

    def _decide(self, line: bytes, end: int) -> bool:
        """Decode a line; remember the answer where the bytes up to `end` are enough to know it again."""
        event = decode_event(line)
        if event is None:
            return False
        passes = self.passes(event.event, event.level)
        head = line[_EVENT_AT:end]
        if head == _EVENT + event.event.encode() + _LEVEL + event.level.encode() and line[_RUN_AT] == _RUN:
            if len(self._decisions) >= MOST_DECISIONS_KEPT:
                self._decisions.clear()
            self._decisions[head] = passes
        return passes


def _test_of(pattern: str) -> _Test:
    """Return the question that one pattern asks of an event's name and level. Case does not count."""
    wanted = pattern.strip().lower()
    if wanted == ERROR_WORD:
        return lambda event, level: level == "ERROR" or event.endswith("_failed") or event == ERROR_WORD
    if wanted in FAMILIES or wanted == USER_FAMILY:
        return lambda event, _: family_of(event) == wanted or event.lower() == wanted
    matches = re.compile(translate(wanted)).match
    return lambda event, _: matches(event.lower()) is not None


def _unknown_level(word: str) -> str:
    from difflib import get_close_matches  # only a typo pays for it

    words = [*(name.lower() for name in LEVELS), *(name.value for name in Verbosity if name != "debug")]
    near = get_close_matches(word, words, n=1)
    return (
        f"telemetry level {word!r} is neither a level (debug, info, warning, error) nor a verbosity "
        f"(minimal, normal, verbose, debug)" + (f"; did you mean {near[0]!r}?" if near else "")
    )
