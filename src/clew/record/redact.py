"""Secrets are removed before the write: by the name of the field first, then by the look of the value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

REDACTED: Final = "[redacted]"
SHORTEST_SECRET: Final = 10
"""A text shorter than this is not searched: none of the value patterns fits into less."""

_WORDS: Final = frozenset(
    {
        "password", "passwords", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets", "authorization",
        "cookie", "cookies", "jwt", "credential", "credentials", "bearer", "auth", "apikey", "accesskey",
        "privatekey", "secretkey", "authtoken", "accesstoken", "sessionid",
    },
)  # fmt: skip
_KEYED: Final = frozenset(
    {"api", "access", "private", "secret", "signing", "encryption", "account", "ssh", "master"}
)
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")

# Cheap first look; only a text in which this finds something is searched pattern by pattern.
_HINT: Final = re.compile(
    r"sk-|[spr]k_(?:live|test)_|A[KS]IA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AIza|hf_|npm_|pypi-|eyJ|"
    r"[Bb]earer |[Bb]asic |BEGIN |://[^/\s]*@|"
    r"(?i:passw|pwd|passphrase|secret|api.?key|access.?key|token|authorization)",
)
_PATTERNS: Final = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\b[spr]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    re.compile(r"\bA[KS]IA[0-9A-Z]{16}\b"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}"),
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{20,}"),
    re.compile(r"\bglpat-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    re.compile(r"\bAIza[A-Za-z0-9_-]{30,}"),
    re.compile(r"\bhf_[A-Za-z0-9]{20,}"),
    re.compile(r"\bnpm_[A-Za-z0-9]{30,}"),
    re.compile(r"\bpypi-[A-Za-z0-9_-]{30,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
)
_AFTER: Final = (
    # What stands in front stays, so that one can see what was there.
    re.compile(r"(\b[Bb]earer\s+)[A-Za-z0-9._~+/-]{8,}=*"),
    re.compile(r"(\b[Bb]asic\s+)[A-Za-z0-9+/]{12,}={0,2}"),
    re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:)[^@\s/]+(?=@)"),
    re.compile(
        r"""((?i:passw(?:or)?d|pwd|passphrase|(?:client[_-]?|aws[_-]?)?secret(?:[_-]?(?:access[_-]?)?key)?|"""
        r"""(?:x-)?api[_ -]?key|access[_-]?key|(?:auth|access|refresh|session|id)?[_-]?token|authorization)"""
        r"""["']?\s*[=:]\s*["']?)(?!\[redacted\])(?:(?:Bearer|Basic|Token)\s+)?[^\s"',;&}\])]{4,}""",
    ),
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
        if _fold(name) in self._extra or not _WORDS.isdisjoint(words) or _fold(name) in _WORDS:
            return True
        if words and words[-1] in {"key", "keys"} and not _KEYED.isdisjoint(words):
            return True
        # `token` is a secret, `tokens` and `token_count` are numbers of tokens.
        return (bool(words) and words[-1] == "token") or words[:2] == ["connection", "string"]

    def clean(self, text: str) -> tuple[str, int]:
        """Return a text without the secrets in it, and how many there were."""
        if len(text) < SHORTEST_SECRET:
            return text, 0
        if _HINT.search(text) is None:
            return text, 0
        found = 0
        for pattern in _PATTERNS:
            text, count = pattern.subn(REDACTED, text)
            found += count
        for pattern in _AFTER:
            text, count = pattern.subn(rf"\1{REDACTED}", text)
            found += count
        return text, found


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
