"""Secrets are removed before the write: by the name of the field first, then by the look of the value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

REDACTED: Final = "[redacted]"
SHORTEST_SECRET: Final = 8
"""A text shorter than this is not searched: none of the patterns fits into less."""

_WORDS: Final = frozenset(
    {
        "password", "passwords", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets", "authorization",
        "cookie", "cookies", "jwt", "credential", "credentials", "bearer", "auth", "apikey", "accesskey",
        "privatekey", "secretkey", "authtoken", "accesstoken", "sessionid",
    },
)  # fmt: skip
# Many a program calls a conversation its session; one word is the name of a cookie.
_JOINED: Final = _WORDS - {"sessionid"}
_KEYED: Final = frozenset(
    {"api", "access", "private", "secret", "signing", "encryption", "account", "ssh", "master"}
)
# What tokenizers call their special tokens.
_NO_SECRET: Final = frozenset(
    {"bos", "eos", "pad", "unk", "mask", "sep", "cls", "stop", "start", "end", "special"}
)
_MOST_SECRETS: Final = 10_000
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")


class _Look(NamedTuple):
    """What a kind of secret looks like. `hint` is a text without which the pattern cannot fit.

    Hints are looked for first, at the speed of memory. A pattern begins with letters of its own, so that a large
    text is searched fast, and no repetition without an end is tried again at every position.
    """

    hint: str
    pattern: re.Pattern[str]
    put: str = REDACTED


def _look(hint: str, pattern: str, put: str = REDACTED) -> _Look:
    return _Look(hint, re.compile(pattern), put)


_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL
)
_KEPT_IN_FRONT: Final = rf"\1{REDACTED}"  # so that one can see what was there
_LOOKS: Final[tuple[tuple[str, tuple[_Look, ...]], ...]] = (
    # By a character that all of a group have, which spares most texts the rest.
    (
        "-",
        (
            _look("sk-", r"sk-(?<!\wsk-)[\w-]{16,}"),
            _look("gl", r"gl(?:pat|dt|rt|ptt)-(?<!\wgl....)[\w-]{16,}"),
            _look("xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
            _look("xapp-", r"xapp-[A-Za-z0-9-]{16,}"),
            _look("GOCSPX-", r"GOCSPX-[\w-]{16,}"),
            _look("pypi-", r"pypi-[\w-]{30,}"),
        ),
    ),
    (
        "_",
        (
            _look("gh", r"gh[pousr]_(?<!\wgh._)[A-Za-z0-9]{20,}"),
            _look("github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
            _look("hf_", r"hf_(?<!\whf_)[A-Za-z0-9]{20,}"),
            _look("npm_", r"npm_(?<!\wnpm_)[A-Za-z0-9]{30,}"),
            _look("k_", r"[spr]k_(?:live|test)_[A-Za-z0-9]{10,}"),
            _look("whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
        ),
    ),
    (
        ".",
        (
            _look("ya29.", r"ya29\.[\w-]{20,}"),
            _look("hooks.slack.com/", r"(hooks\.slack\.com/)[\w/]{8,}", _KEPT_IN_FRONT),
        ),
    ),
    (
        "A",
        (
            _look("IA", r"A[KS]IA(?<!\wA.IA)[0-9A-Z]{16}(?!\w)"),
            _look("AIza", r"AIza[\w-]{30,}"),
        ),
    ),
    ("@", (_look("://", r"(://[^/\s:@]{0,256}:)(?!\[redacted\]@)[^\s/]{1,1024}(?=@)", _KEPT_IN_FRONT),)),
    # A word after these two is no secret: "the bearer instrument", "a basic understanding".
    (
        "earer",
        (_look(" ", r"([Bb]earer\s{1,8})(?=\S{20}|\S*(?:\d|_|[a-z][A-Z]))[\w.~+/-]{8,}=*", _KEPT_IN_FRONT),),
    ),
    (
        "asic",
        (
            _look(
                " ",
                r"([Bb]asic\s{1,8})(?=[A-Za-z0-9+/]*(?:\d|=|[a-z][A-Z]))[A-Za-z0-9+/]{8,}={0,2}",
                _KEPT_IN_FRONT,
            ),
        ),
    ),
)
_JWT: Final = re.compile(r"(?<![\w-])[\w-]{11,}+\.[\w-]{8,}+(?:\.[\w-]*+)?")

_NAMES: Final = (
    "password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "credential",
    *(f"{word}{join}key" for word in ("api", "access", "account", "private") for join in ("_", "", "-", " ")),
)  # fmt: skip
_VALUE_AFTER: Final = re.compile(
    # the rest of the name, a separator, quotes that may be escaped, and not what is none: None, true, [redacted]
    r"""(?:[_-]?(?:access)?[_-]?key|s)?\\{0,4}["']?\s{0,8}[=:]\s{0,8}\\{0,4}["']?"""
    r"""(?:(?:bearer|basic|token)\s{1,8})?(?!(?:none|null|true|false|bearer|basic|\d{1,9})\b)([^\s"',;&}\])\\\[][^\s"',;&}\])\\]{3,})""",
    re.IGNORECASE,
)


class Redactor:
    """Finds secrets by name and by value."""

    def __init__(self, extra_names: Collection[str] = ()) -> None:
        """Redact as usual, and also the fields of these names (case and separators do not matter)."""
        self._extra = frozenset(_fold(name) for name in extra_names)
        self._by_name: dict[str, bool] = {}

    def secret_name(self, name: str) -> bool:
        """Say whether a field of that name holds a secret. The answer is kept."""
        known = self._by_name.get(name)
        if known is None:
            if len(self._by_name) > 4096:  # names made up at run time must not fill the memory
                self._by_name.clear()
            known = self._by_name[name] = self._judge(name)
        return known

    def _judge(self, name: str) -> bool:
        words = [word.lower() for word in _SPLIT.split(name) if word]
        if _fold(name) in self._extra or not _WORDS.isdisjoint(words) or _fold(name) in _JOINED:
            return True
        if words and words[-1] in {"key", "keys"} and not _KEYED.isdisjoint(words):
            return True
        # `token` is a secret, `tokens` and `token_count` are numbers of tokens.
        if words and words[-1] == "token":
            return len(words) == 1 or words[-2] not in _NO_SECRET
        return words[:2] == ["connection", "string"]

    def clean(self, text: str) -> tuple[str, int]:
        """Return a text without the secrets in it, and how many there were."""
        if len(text) < SHORTEST_SECRET:
            return text, 0
        found = 0
        if "-----BEGIN" in text:
            text, found = _PEM.subn(REDACTED, text)
        if "=" in text or ":" in text:
            text, count = _clean_named(text)
            found += count
        for mark, looks in _LOOKS:
            if mark in text:
                for hint, pattern, put in looks:
                    if hint in text:
                        text, count = pattern.subn(put, text)
                        found += count
        if "eyJ" in text:
            text, count = _clean_jwt(text)
            found += count
        return text, found


def _clean_jwt(text: str) -> tuple[str, int]:
    """Remove JSON Web Tokens: three parts in base64 with dots between them, the first one begins like `{"`."""
    count = 0

    def cleaned(match: re.Match[str]) -> str:
        nonlocal count
        found = match[0]
        place = found.find("eyJ", 0, found.find(".") - 8)
        if place < 0:
            return found
        count += 1
        return found[:place] + REDACTED

    return _JWT.sub(cleaned, text), count


def _clean_named(text: str) -> tuple[str, int]:
    """Remove what is given a secret's name in the text itself: `password=...`, `"api_key": "..."`."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = re.sub("[^\0-\x7f]", "?", text).lower()  # a few letters become two
    spots: list[tuple[int, int]] = []
    for name in _NAMES:
        place = lower.find(name)
        while place >= 0:
            if len(spots) == _MOST_SECRETS:  # what would be left is not worth the time
                return f"<{len(text)} characters with more than {_MOST_SECRETS} secrets>", _MOST_SECRETS
            place += len(name)
            match = _VALUE_AFTER.match(text, place)
            if match is not None:
                spots.append(match.span(1))
            place = lower.find(name, place)
    if not spots:
        return text, 0
    parts, end, count = [], 0, 0
    for start, stop in sorted(spots):
        if start >= end:
            parts += [text[end:start], REDACTED]
            end, count = stop, count + 1
    return "".join([*parts, text[end:]]), count


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
