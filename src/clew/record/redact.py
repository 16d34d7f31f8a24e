"""Secrets are removed before the write: by the name of the field first, then by the look of the value.

One that is known letter by letter, such as the key that a model is asked with, is found whatever it looks like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from clew.record.named_secrets import REDACTED, NamedSecrets
from clew.record.secret_names import SecretNames

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["REDACTED", "SHORTEST_SECRET", "Redactor"]

SHORTEST_SECRET: Final = 8
"""A text shorter than this is not searched: hardly a secret with its name fits into less, none by its look does."""


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


class Redactor:
    """Finds secrets by name and by value."""

    def __init__(self, extra_names: Collection[str] = ()) -> None:
        """Redact as usual, and also the fields of these names (case and separators do not matter)."""
        self._names = SecretNames(extra_names)
        self._named = NamedSecrets(self._names, extra_names)
        self._hidden: tuple[str, ...] = ()
        self.clean = self._clean
        """Returns a text without the secrets in it, and how many there were."""

    def hide(self, secret: str) -> None:
        """Remove this text too from now on; one that is shorter than what is searched stays."""
        secret = secret.strip()
        if len(secret) >= SHORTEST_SECRET:
            # In one step, for other threads; the longest first, which may have another one in it.
            forms = {secret, ascii(secret)[1:-1]}  # as it is, and as an error prints it
            self._hidden = tuple(sorted({*self._hidden, *forms}, key=len, reverse=True))
            self.clean = self._clean_of_hidden  # which costs nothing as long as nothing is hidden

    def secret_name(self, name: str) -> bool:
        """Say whether a field of that name holds a secret. The answer is kept."""
        return name in self._names

    def _clean(self, text: str) -> tuple[str, int]:
        if len(text) < SHORTEST_SECRET:
            return text, 0
        found = 0
        if "-----BEGIN" in text:
            text, found = _PEM.subn(REDACTED, text)
        # Flags and pairs have no mark between name and value. One character is found faster than two.
        if (
            "=" in text
            or ":" in text
            or ("-" in text and "--" in text)
            or ("'" in text and "'," in text)
            or ('"' in text and '",' in text)
        ):
            text, count = self._named.clean(text)
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

    def _clean_of_hidden(self, text: str) -> tuple[str, int]:
        hidden = 0
        for secret in self._hidden:
            if secret in text:
                hidden += text.count(secret)
                text = text.replace(secret, REDACTED)
        text, found = self._clean(text)
        return text, hidden + found


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
