"""What went wrong between us and a provider, in one form for all of them.

Neither SDK is imported here: their errors are told by the names of their classes, which both share, so that a run that
asks the one does not wait for the other.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import time
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from clew.errors import ProviderError
from clew.record.redact import REDACTED, SHORTEST_SECRET, Redactor

FailureKind = Literal[
    "rate_limit",
    "timeout",
    "connection",
    "authentication",
    "context_length",
    "bad_request",
    "bad_answer",
    "server",
    "provider",
]
MAY_RETRY: Final = frozenset({"rate_limit", "timeout", "connection", "bad_answer", "server"})
"""Kinds of failures after which the same request may succeed."""

_MOST_CHARACTERS: Final = 300
_MOST_READ: Final = 4000
"""Of a message that may be of any size."""
NO_STREAM: Final = "its stream has nothing in it"
_SAYS: Final[dict[str, str]] = {
    "rate_limit": "wants fewer requests",
    "timeout": "did not answer in time",
    "connection": "cannot be reached, or broke off",
    "authentication": "did not accept the key",
    "context_length": "was sent more than its context holds",
    "bad_request": "refused the request",
    "bad_answer": "answered something that cannot be read",
    "server": "failed",
    "provider": "gave no answer",
}
_STATUS_KINDS: Final[dict[int, FailureKind]] = {
    401: "authentication",
    403: "authentication",
    408: "timeout",
    409: "server",
    413: "context_length",
    429: "rate_limit",
    504: "timeout",
}
# In the middle of a stream the status is 200 already, and only this word says what happened.
_TYPE_STATUS: Final[dict[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TOO_LONG: Final = re.compile(
    r"context_length_exceeded|maximum context length|prompt is too long|context (?:window|size|limit)"
    r"|exceeds? the (?:available |model'?s? )?(?:maximum )?context|input is too long|too many tokens",
    re.IGNORECASE,
)
_NO_MONEY: Final = frozenset({"insufficient_quota", "billing_not_active", "billing_error"})
_MASKED_KEY: Final = re.compile(r"\bsk-[\w*-]+|[\w-]*\*{3,}[\w-]*")
"""Providers repeat a wrong key with stars in its middle: both of its ends are nobody's business either."""
_SHORTENED: Final = re.compile(r"([\w-]{0,64})(?:\.{2,}|…+|[*•]+)([\w-]{0,64})")
_FEWEST_SHOWN: Final = 4
"""Letters of a key that say something about it."""
_MOST_CAUSES: Final = 8
_REDACTOR: Final = Redactor()
_T = TypeVar("_T")


class SDKError(Exception):
    """Says which error an SDK raised, and where. What that one said itself may be a key, whole or in part."""


def without_words(error: Exception) -> SDKError:
    """Return what a ProviderError is raised from, so that the stack in the log has the place and not the words."""
    return SDKError(type(error).__name__).with_traceback(error.__traceback__)


def provider_failure(error: Exception, *, model: str, secrets: Sequence[str] = ()) -> ProviderError:
    """Return the ProviderError for what an SDK, or the HTTP library below it, raised.

    Args:
        error: an error of `openai`, `anthropic`, `httpx2`, or of reading what a server sent.
        model: that was asked, as the manifest calls it.
        secrets: texts that the message must not have in it, whoever put them there; placeholders of a few letters stay.
    """
    if isinstance(error, ProviderError):
        return error
    meant = _chain(error) if _says_nothing(error) else [error]
    names = {cls.__name__ for one in meant for cls in type(one).__mro__}
    body = _inner(getattr(error, "body", None))
    words = {str(body.get(key)) for key in ("type", "code") if body.get(key) is not None}
    status = _status(error, body)
    reason = _reason(error, body, secrets)
    kind = _kind(names, status, f"{' '.join(sorted(words))} {reason}")
    headers = getattr(getattr(error, "response", None), "headers", {})
    refused = headers.get("x-should-retry") == "false" or bool(words & _NO_MONEY)
    return failure(
        kind,
        model=model,
        reason=reason,
        status=status,
        retry_after_s=retry_after_s(headers),
        may_retry=kind in MAY_RETRY and not refused,
    )


def failure(
    kind: FailureKind,
    *,
    model: str,
    reason: str = "",
    status: int | None = None,
    retry_after_s: float | None = None,
    may_retry: bool | None = None,
) -> ProviderError:
    """Return a ProviderError whose message is one sentence.

    Args: may_retry: None: as the kind says.
    """
    where = "" if status is None else f" (HTTP {status})"
    message = f"{model} {_SAYS[kind]}{where}" + (f": {reason}" if reason else "")
    return ProviderError(
        message,
        kind=kind,
        status=status,
        retry_after_s=retry_after_s,
        may_retry=kind in MAY_RETRY if may_retry is None else may_retry,
    )


async def told(
    pieces: AsyncIterable[_T], *, model: str, secrets: Sequence[str] = ()
) -> AsyncGenerator[_T, None]:
    """Yield what comes; what goes wrong while it comes is a ProviderError, what its reader raises is not."""
    try:
        async for piece in pieces:
            yield piece
    except Exception as error:
        raise provider_failure(error, model=model, secrets=secrets) from without_words(error)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a response wants to be left alone: `Retry-After` in seconds or as a date, or in ms."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            wait_s = float(text) * scale
        except ValueError:
            try:
                date = email.utils.parsedate_tz(text)
                wait_s = float("nan") if date is None else email.utils.mktime_tz(date) - time.time()
            except (ValueError, OverflowError):  # a year of twenty digits
                continue
        if wait_s == wait_s and wait_s < float("inf"):  # noqa: PLR0124 - NaN is a number to float()
            return max(0.0, wait_s)
    return None


def _status(error: Exception, body: Mapping[str, Any]) -> int | None:
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:
        return status
    for key in ("code", "type"):
        word = body.get(key)
        if isinstance(word, str) and word in _TYPE_STATUS:
            return _TYPE_STATUS[word]
        digits = str(word)
        if len(digits) == 3 and digits.isdecimal() and 400 <= int(digits) < 600:
            return int(digits)
    return None


def _kind(names: set[str], status: int | None, said: str) -> FailureKind:
    if status is not None:
        if status in {400, 413, 422, 500} and _TOO_LONG.search(said):
            return "context_length"
        if status in _STATUS_KINDS:
            return _STATUS_KINDS[status]
        if status >= 500:
            return "server"
        return "provider" if status == 402 else "bad_request"
    if names & {"APITimeoutError", "TimeoutException", "TimeoutError"}:
        return "timeout"
    if names & {
        "JSONDecodeError",
        "UnicodeDecodeError",
        "APIResponseValidationError",
        "DecodingError",
        "RecursionError",
    }:
        return "bad_answer"
    if names & {
        "APIConnectionError",
        "TransportError",
        "RequestError",
        "StreamError",
        "OSError",
        "EndOfStream",
        "ExceptionGroup",  # of the tasks that connect
    }:
        return "connection"
    if names & {"APIError"}:  # in the middle of a stream, without a word that is known
        return "context_length" if _TOO_LONG.search(said) else "server"
    return "provider"


def _inner(body: object) -> Mapping[str, Any]:
    """Return the part of an error's body that says what it is: OpenAI's SDK unwraps it, Anthropic's does not."""
    if not isinstance(body, Mapping):
        return {}
    inner = body.get("error", body)
    return inner if isinstance(inner, Mapping) else {"message": inner}


def _reason(error: Exception, body: Mapping[str, Any], secrets: Sequence[str]) -> str:
    text = body.get("message")
    if not isinstance(text, str) or not text:
        text = _unstructured(error)
    text = text[:_MOST_READ].lstrip()
    if text.startswith("<"):
        return "it sent a page instead"  # of a proxy in between
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    for secret in secrets:
        text = _without(text, secret.strip())
    text, _ = _REDACTOR.clean(_MASKED_KEY.sub(REDACTED, text))
    if len(text) > _MOST_CHARACTERS:
        text = text[: _MOST_CHARACTERS - 1] + "…"
    return text.rstrip(". ")


def _without(text: str, secret: str) -> str:
    """Return a text without a key, whole, as Python prints it, or with its middle left out."""
    if len(secret) < SHORTEST_SECRET:
        return text
    for form in (secret, ascii(secret)[1:-1]):
        text = text.replace(form, REDACTED)

    def cleaned(match: re.Match[str]) -> str:
        is_part = secret.startswith(match[1]) and secret.endswith(match[2])
        return REDACTED if is_part and len(match[1]) + len(match[2]) >= _FEWEST_SHOWN else match[0]

    return _SHORTENED.sub(cleaned, text)


def _unstructured(error: Exception) -> str:
    """Return what is known of a failure that the provider did not put into the form of its errors."""
    with contextlib.suppress(Exception):  # of a stream there may be no text
        text = getattr(error, "response").text  # noqa: B009 - no SDK is known here
        if isinstance(text, str) and text.strip():
            return text
    chain = _chain(error)
    for one in chain:
        words = "" if _says_nothing(one) else getattr(one, "strerror", None) or str(one)
        if words:
            return str(words)
    if any(type(one).__name__ in {"ReadError", "WriteError"} for one in chain):
        return "the connection was lost"
    return str(error) or type(error).__name__


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and what it came of; in place of a group its first one stands."""
    found: list[BaseException] = []
    next_one: BaseException | None = error
    while next_one is not None and len(found) < _MOST_CAUSES:
        found.append(next_one)
        next_one = next_one.exceptions[0] if isinstance(next_one, BaseExceptionGroup) else next_one.__cause__
    return found


def _says_nothing(error: BaseException) -> bool:
    """Whether only what an error came of says what happened: "Connection error", "unhandled errors in a group"."""
    return isinstance(error, BaseExceptionGroup) or type(error).__name__ == "APIConnectionError"
