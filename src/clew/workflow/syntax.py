"""How conditions are written: their tokens, and the terms that these are read into."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from clew.errors import ExpressionError

DEEPEST: Final = 100
"""Parentheses inside each other: hostile text must not use up the stack."""
LONGEST: Final = 10_000
"""Characters."""
_LONGEST_NUMBER: Final = 400  # int() itself refuses 4,300 digits, with a message about Python
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<string>'[^']*'|"[^"]*")
    | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>==|!=|<=|>=|<|>|[()\[\].,])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_LITERALS: Final = {"true": True, "false": False, "null": None}
_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")

Step = str | int
"""One step into a value: a key of an object, or a position in a list."""


class Token(NamedTuple):
    """One word or sign."""

    kind: str
    text: str
    position: int


class Literal(NamedTuple):
    """A value that was written out."""

    value: Any


class Name(NamedTuple):
    """A field of the values."""

    steps: tuple[Step, ...]
    position: int


class Members(NamedTuple):
    """A list that was written out."""

    members: tuple[Term, ...]


class Comparison(NamedTuple):
    """Two terms and what stands between them."""

    operator: str
    left: Term
    right: Term
    position: int


class Negation(NamedTuple):
    """The opposite."""

    term: Term


class Alternatives(NamedTuple):
    """`or` of `and`s."""

    groups: tuple[tuple[Term, ...], ...]


Term = Literal | Name | Members | Comparison | Negation | Alternatives


class Parser:
    """Reads tokens from left to right; one call deeper for each parenthesis only."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ExpressionError(f"a condition has at most {LONGEST:,} characters", position=LONGEST)
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> Token | None:
        """Return the next token where it is one of these words or signs, and go on."""
        token = self._token
        if token.kind in ("word", "sign") and token.text in texts:
            self._next += 1
            return token
        return None

    def _wrong(self, wanted: str) -> ExpressionError:
        token = self._token
        found = f"not {token.text!r}" if token.text else "and the condition ends"
        return ExpressionError(f"{wanted} should stand here, {found}", position=token.position)

    def expect_end(self) -> None:
        token = self._token
        if token.kind == "end":
            return
        if token.text in (*_COMPARISONS, "in"):
            raise ExpressionError("comparisons are not chained; join two with 'and'", position=token.position)
        raise self._wrong("'and', 'or' or the end")

    def alternatives(self) -> Term:
        groups: list[list[Term]] = [[self._operand()]]
        while True:
            if self._take("and"):
                groups[-1].append(self._operand())
            elif self._take("or"):
                groups.append([self._operand()])
            else:
                break
        if len(groups) == 1 and len(groups[0]) == 1:
            return groups[0][0]
        return Alternatives(tuple(tuple(group) for group in groups))

    def _operand(self) -> Term:
        negations = 0
        while self._take("not"):
            negations += 1
        left = self._term()
        position = self._token.position
        operator = self._operator()
        if operator:
            left = Comparison(operator, left, self._term(), position)
        if negations:
            left = Negation(left)
        return Negation(left) if negations and negations % 2 == 0 else left

    def _operator(self) -> str:
        token = self._take(*_COMPARISONS, "in")
        if token is None and self._token.text == "not" and self._tokens[self._next + 1].text == "in":
            self._next += 2
            return "not in"
        return token.text if token else ""

    def _term(self) -> Term:
        token = self._token
        if opened := self._take("(", "["):
            self._depth += 1
            if self._depth > DEEPEST:
                raise ExpressionError(f"more than {DEEPEST} nested parentheses", position=opened.position)
            inner = self._members() if opened.text == "[" else self.alternatives()
            if not self._take("]" if opened.text == "[" else ")"):
                raise self._wrong(repr("]" if opened.text == "[" else ")"))
            self._depth -= 1
            return inner
        if token.kind in ("string", "number"):
            self._next += 1
            return Literal(token.text[1:-1] if token.kind == "string" else _number(token))
        if word := self._take(*_LITERALS):
            return Literal(_LITERALS[word.text])
        return self.name()

    def _members(self) -> Term:
        members: list[Term] = []
        while self._token.text != "]" or self._token.kind != "sign":
            members.append(self._term())
            if not self._take(","):
                break
        return Members(tuple(members))

    def name(self) -> Name:
        first = self._token
        if first.kind != "word" or first.text in _KEYWORDS:
            raise self._wrong("a field or a value")
        self._next += 1
        steps: list[Step] = [first.text]
        while sign := self._take(".", "["):
            token = self._token
            self._next += token.kind != "end"
            if sign.text == ".":
                if token.kind != "word":
                    raise ExpressionError(
                        "the name of a field should follow the dot", position=token.position
                    )
                steps.append(token.text)
                continue
            if token.kind == "string":
                steps.append(token.text[1:-1])
            elif token.kind == "number" and isinstance(number := _number(token), int):
                steps.append(number)
            else:
                raise ExpressionError("a position or a quoted key should stand here", position=token.position)
            if not self._take("]"):
                raise self._wrong("']'")
        return Name(tuple(steps), first.position)


def _number(token: Token) -> int | float:
    text = token.text
    if len(text) > _LONGEST_NUMBER:
        raise ExpressionError("the number is too long", position=token.position)
    if text.lstrip("-").isdecimal():
        return int(text)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ExpressionError("the number is too large", position=token.position)
    return number


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _bad_character(text, position)
        kind = match.lastgroup or "end"
        yield Token(kind, match[kind], match.start(kind))
        if kind == "end":
            return
        position = match.end()


def _bad_character(text: str, position: int) -> ExpressionError:
    while text[position].isspace():
        position += 1
    character = text[position]
    if character in "'\"":
        what = f"the string that begins here has no closing {character}"
    elif character == "=":
        what = "'=' compares nothing; use '=='"
    elif character in "+-*/%":
        what = f"there is no arithmetic in conditions, and no {character!r}"
    elif character in "&|!":
        what = f"{character!r} means nothing here; use 'and', 'or' and 'not'"
    else:
        what = f"{character!r} means nothing here"
    return ExpressionError(what, position=position)
