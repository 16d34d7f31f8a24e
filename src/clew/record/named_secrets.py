"""Secrets that a text itself names: `password=...`, `"api_key": "..."`, `--token ...`, `('X-Api-Key', '...')`."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from clew.record.secret_names import SecretNames, spellings

REDACTED: Final = "[redacted]"
_MOST_SECRETS: Final = 10_000
_NAME_CHARS: Final = 48
_IN_NAMES: Final = f"{string.ascii_letters}{string.digits}_-"

# Quotes may be escaped, as in JSON within JSON, and those of bytes have a letter in front.
_QUOTE: Final = r"""b?\\{0,4}["']"""
_CLOSED: Final = r"""\\{0,4}["']\s{0,8}"""
_GIVEN: Final = r"""\\{0,4}["']?\s{0,8}[=:]\s{0,8}"""
_NEW: Final = r"(?!\[redacted\])"
_NO_VALUE: Final = "none|null|true|false"


def _value_after(rest: str, *, but: str = "", least: int = 4) -> re.Pattern[str]:
    """Return a pattern of what may follow a secret's name; the one group that fits is the secret.

    Args:
        rest: what else may belong to the name.
        but: words that are no secret, beside None and its like.
        least: how many characters a secret has.
    """
    scheme = rf"(?:(?:bearer|basic|token)\s{{1,8}})?(?!(?:{_NO_VALUE}{but})\b)"
    in_list = rf"\[\s{{0,64}}(?P<listed>{_QUOTE}{_NEW}[^\]]{{{least},4096}})"
    # A quote that ends a text ("password: " + word) is followed by no secret.
    quoted = rf"""{_QUOTE}{scheme}([^"'\\\s\[,;)\]}}][^"'\\\r\n]{{{least - 1},4096}})"""
    bare = rf"""{scheme}([^\s"',;&}}\])\\\[][^\s"',;&}}\])\\]{{{least - 1},}})"""
    paired = rf"""{_CLOSED},\s{{0,8}}{_QUOTE}{_NEW}(?P<paired>[^"'\\\r\n]{{1,4096}}+)(?={_CLOSED},?\s{{0,8}}[)\]])"""
    return re.compile(f"{rest}(?:{_GIVEN}(?:{in_list}|{quoted}|{bare})|{paired})", re.IGNORECASE)


_WORD_OR_NUMBER: Final = r"|bearer|basic|\d{1,9}"
_VALUE: Final = _value_after("", but=_WORD_OR_NUMBER)
_VALUE_OF_SEVERAL: Final = _value_after("s?", but=_WORD_OR_NUMBER)
_VALUE_AFTER_MORE: Final = _value_after(r"(?:[_-]?(?:access)?[_-]?key|s)?", but=_WORD_OR_NUMBER)
_ONE_TIME_VALUE: Final = _value_after("(?:[_-]?code)?", but=r"|\d{1,3}")  # it is a number as a rule
_OWN_VALUE: Final = _value_after("", least=1)

# Several come in one line, `Cookie: a=1; b=2; Secure`, or a dictionary has them by their names.
_CRUMB: Final = r"""[^=;:,{}\s"'\[\]]{1,64}+=(?:"[^"\r\n;]{0,4096}"|[^\s"';\\]{0,4096})"""
_CRUMBS: Final = rf"{_CRUMB}(?:;[ \t]{{0,8}}(?:{_CRUMB}|[A-Za-z]{{1,16}}))*"
_COOKIES: Final = re.compile(
    rf"""s?(?:(?:{_GIVEN}|{_CLOSED},\s{{0,8}})(?:{_QUOTE})?({_CRUMBS}|\{{\s{{0,64}}["'][^}}]{{4,4096}}\}}?)"""
    rf"""|{_CLOSED}[=:]\s{{0,8}}{_QUOTE}{_NEW}([^"'\\\r\n]{{4,4096}}))""",
    re.IGNORECASE,
)

# What a sentence about an option goes on with, where no value is given.
_PROSE: Final = (
    "flags?|options?|arguments?|parameters?|values?|switch|settings?|fields?|with|without|when|where|which|that|this|"
    "then|than|from|into|must|should|shall|will|would|could|have|been|were|cannot|instead|given|gives|takes|needs?|"
    "only|also|here|before|after|because|unless|until|while|does|expects|requires|required|missing|found|specified|"
    "provided|passed|used|twice|again|together|either|alone|works|means|prompts?|asks|reads"
)
_IN_QUOTES: Final = (
    rf"""b?\\{{0,4}}(?:'(?!--){_NEW}([^'\\\r\n]{{1,4096}})|"(?!--){_NEW}([^"\\\r\n]{{1,4096}}))"""
)
_FLAG: Final = re.compile(
    r"--(?<![\w-]--)([A-Za-z][\w-]{0,62}+)"
    # as a list of arguments is printed, or as it is typed
    rf"(?:{_CLOSED},\s{{0,8}}{_IN_QUOTES}|\\{{0,4}}[\"']?[ \t]{{1,8}}(?:{_IN_QUOTES}"
    # what is written in capitals or in brackets stands for a value
    rf"""|(?!(?:{_PROSE}|{_NO_VALUE}|\d{{1,9}})\b(?![\w-])|[A-Z][A-Z_]*(?:[\s.,;:"')\]]|$)|[$%][A-Za-z_{{(])"""
    r"""([^\s"',;&}\])\\\[({<>|`=-][^\s"',;&}\])\\`|]{3,})))"""
)
_ABOUT_IT: Final = ("file", "path", "stdin", "env", "name", "prompt")


class _Sought(NamedTuple):
    """A part of a name, in lower case, that is looked for at the speed of memory."""

    part: str
    after: re.Pattern[str]
    is_meant: Callable[[SecretNames, str, re.Match[str]], bool] | None = None
    """Whether it is a secret's, by what stands before it and after."""


def _end_in_name(text: str) -> str:
    return text[len(text.rstrip(_IN_NAMES)) :]


def _whole_name_tells(names: SecretNames, before: str, match: re.Match[str]) -> bool:
    """`openai_key` is a secret, `sort_key` is not."""
    name = _end_in_name(before)
    return name in names and _is_no_verdict(name, match)


def _is_no_verdict(name: str, match: re.Match[str]) -> bool:
    """`PASS: test_it` and `('pass', 'fail')` say how a test went."""
    if name.lower() != "pass":
        return True
    return match["paired"] is None and match.string[match.start()] in "\"'=\\"


_BEFORE_A_BARE_KEY: Final = frozenset(["", '"', "'", "\n", ",", "(", "{"])
_KEYS_OF_TWO_WORDS: Final = ("api key", "access key", "account key", "private key")


def _is_bare_key(lower: str, end: int) -> bool:
    """Say whether there is only `key`, as most often, and then it is no secret's. This is to be quick."""
    before = lower[end - 4 : end - 3]
    return not lower.endswith(_KEYS_OF_TWO_WORDS, 0, end) if before == " " else before in _BEFORE_A_BARE_KEY


def _is_secret_key(names: SecretNames, before: str, match: re.Match[str]) -> bool:
    return before.lower().endswith(_KEYS_OF_TWO_WORDS) or _whole_name_tells(names, before, match)


def _is_one_token(_names: SecretNames, _before: str, match: re.Match[str]) -> bool:
    """A list of tokens is a text in parts."""
    return match["listed"] is None or match.string[match.start()] not in "sS"


_BUILT_IN: Final = (
    *(_Sought(part, _VALUE_AFTER_MORE) for part in (
        "password", "passwd", "pwd", "passphrase", "secret", "authorization", "credential",
    )),
    _Sought("token", _VALUE_AFTER_MORE, _is_one_token),
    _Sought("key", _VALUE_OF_SEVERAL, _is_secret_key),
    _Sought("pass", _VALUE, _whole_name_tells),
    _Sought("pw", _VALUE, _whole_name_tells),
    _Sought("otp", _ONE_TIME_VALUE, _whole_name_tells),
    _Sought("cookie", _COOKIES),
)  # fmt: skip
# Two texts in a list are a pair only within a list: ["password", "user"] is what a form has.
_OPENED: Final = re.compile(rf"(?:\(|(?:[(\[]|\],)\s{{0,8}}\[)\s{{0,8}}{_QUOTE}[\w-]*\Z")


class NamedSecrets:
    """Finds what is given a secret's name in the text itself."""

    def __init__(self, names: SecretNames, own: Collection[str] = ()) -> None:
        """Look for the names that everybody uses, and for a user's own in every spelling."""
        self._names = names
        spelt = sorted({spelling for name in own for spelling in spellings(name) if spelling})
        self._sought = (*_BUILT_IN, *(_Sought(part, _OWN_VALUE, _begins_there(part)) for part in spelt))

    def clean(self, text: str) -> tuple[str, int]:
        """Return a text without them, and how many there were."""
        spots = self._spots(text)
        if not spots:
            return text, 0
        if len(spots) > _MOST_SECRETS:  # what would be left is not worth the time
            return f"<{len(text)} characters with more than {_MOST_SECRETS} secrets>", _MOST_SECRETS
        parts, end, count = [], 0, 0
        for start, stop in sorted(spots):
            if start >= end:
                parts += [text[end:start], REDACTED]
                end, count = stop, count + 1
        return "".join([*parts, text[end:]]), count

    def _spots(self, text: str) -> list[tuple[int, int]]:
        """Return where the secrets stand; one more than the most where there are too many."""
        lower = text.lower()
        if len(lower) != len(text):
            lower = re.sub("[^\0-\x7f]", "?", text).lower()  # a few letters become two
        spots: list[tuple[int, int]] = []
        for part, after, is_meant in self._sought:
            place = lower.find(part)
            while place >= 0 and len(spots) <= _MOST_SECRETS:
                place += len(part)
                match = None if part == "key" and _is_bare_key(lower, place) else after.match(text, place)
                if match is not None and self._is_named(
                    text[max(0, place - _NAME_CHARS) : place], match, is_meant
                ):
                    spots.append(match.span(match.lastindex or 0))
                place = lower.find(part, place)
        if "--" in text:
            for match in _FLAG.finditer(text):
                if len(spots) > _MOST_SECRETS:
                    break
                if match[1] in self._names and not match[1].lower().endswith(_ABOUT_IT):
                    spots.append(match.span(match.lastindex or 0))
        return spots

    def _is_named(
        self,
        before: str,
        match: re.Match[str],
        is_meant: Callable[[SecretNames, str, re.Match[str]], bool] | None,
    ) -> bool:
        if match.re is not _COOKIES and match["paired"] is not None:
            name = _end_in_name(before) + match[0][: -len(match[0].lstrip(_IN_NAMES))]
            if name not in self._names or not _OPENED.search(before):
                return False
        return is_meant is None or is_meant(self._names, before, match)


def _begins_there(part: str) -> Callable[[SecretNames, str, re.Match[str]], bool]:
    """Return a check that no other word runs into a name: `iban` is not in `caribana`."""

    def is_meant(_names: SecretNames, before: str, _match: re.Match[str]) -> bool:
        front = before[: -len(part)]
        return not (front and (front[-1].isalnum() or front[-1] == "_"))

    return is_meant
