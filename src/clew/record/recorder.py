"""The recorder: everything that recording needs, in one object. Nothing in it raises into the program."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from clew.journal.writer import JournalWriter
from clew.model.events import decode_event
from clew.model.ids import NO_SPAN
from clew.model.levels import LEVEL_RANK
from clew.model.trace import ExecutionTrace
from clew.record.clock import Stamper, SystemClock
from clew.record.encode import MOST_QUICK_BYTES, Encoded, ValueEncoder, encode_json, quick_fields
from clew.record.guard import Guard
from clew.record.plain import NAME, Plain, safe_str
from clew.record.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from clew.model.ports import Clock, Ids
    from clew.record.encode import Capture

_MOST_NAMES: Final = 4096
_MOST_LEARNT: Final = 64
_MOST_KINDS: Final = 64
_FIRST_SPAN: Final = 10_000_000


def _is_own_json(text: str) -> bool:
    """Say whether a name is written in JSON as it is, which most are."""
    is_plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    return is_plain and len(text) <= NAME.text_chars


class Template(NamedTuple):
    """The parts of a node's lines that are the same for all its executions in a run, encoded once."""

    start: str
    """`node_started`, from behind the timestamp to the span id."""
    end: str
    """`node_completed`, likewise."""
    kind: str
    """The `type` field of the start's data; empty where the node has no kind."""
    where: str
    """Node and the beginning of the span id, for events inside the node."""


class RecordedRun(Protocol):
    """What the recorder needs to know of a run."""

    run_id: str
    templates: dict[object, Template]
    events: dict[tuple[str, str], str]


class Place(Protocol):
    """Where in a run something happens: in one of its spans, or in none."""

    span_id: str

    @property
    def run(self) -> RecordedRun:
        """The run."""
        ...

    def where(self) -> str:
        """Return the part of an event's line that says where it happened."""
        ...


class _Outside:
    """In a run, but in none of its spans."""

    def __init__(self, run: RecordedRun) -> None:
        self.run = run
        self.span_id = NO_SPAN

    def where(self) -> str:
        return ""


class Recorder:
    """Turns what the program does into lines of one writer.

    Tests build their own, with a fake clock and ids in sequence: see `clew.testing`.
    """

    # What the hot path reads has a slot, where its compiled form finds it.
    __slots__ = ("__dict__", "__weakref__", "captures_whole", "clean", "first_span", "now", "pending", "plain_names", "quick_bytes", "span_prefix", "stamper", "writer", "writer_part")  # fmt: skip

    def __init__(
        self,
        new_writer: Callable[[], JournalWriter],
        *,
        ids: Ids,
        clock: Clock | None = None,
        home: Path | None = None,
        capture: Capture = "summary",
        inline_limit_bytes: int = 16 * 1024,
        max_payload_bytes: int = 16 * 1024 * 1024,
        redact: Iterable[str] = (),
        sample_ratio: float = 1.0,
        sync_checkpoints: bool = False,
    ) -> None:
        self.ids = ids
        self.clock: Clock = clock or SystemClock()
        self.now: Callable[[], int] = self.clock.monotonic_ns
        self.stamper = Stamper(self.clock)
        self.guard = Guard()
        self.sample_ratio = sample_ratio
        self.sync_checkpoints = sync_checkpoints
        self._redactor = redactor = Redactor(tuple(redact))
        self.home = home
        self.values = ValueEncoder(
            redactor,
            home,
            capture=capture,
            inline_limit_bytes=inline_limit_bytes,
            max_payload_bytes=max_payload_bytes,
        )
        self.clean: Callable[[str], tuple[str, int]] = redactor.clean
        self.plain_names: set[str] = set()
        """Names of fields that are known to hold no secrets."""
        self.captures_whole = capture == "full"
        self._kinds: dict[str, str] = {}
        self.quick_bytes = min(MOST_QUICK_BYTES, inline_limit_bytes)
        self.pending: list[tuple[Place, Encoded]] = []
        """Notes on what was removed from events that were just written."""
        self.read_trace: Callable[[str], ExecutionTrace] = self.trace_in_memory
        """Reads a run back; a session puts the store here."""
        self._new_writer = new_writer
        self.renew_writer()

    def renew_writer(self) -> None:
        """Begin another writer's life: at the start, and in a forked child, which says nothing for its parent."""
        self.pending.clear()
        self.guard.unwritten.clear()
        self.writer = self._new_writer()
        self.span_prefix = self.ids.span_prefix()
        self.first_span = _FIRST_SPAN
        self.writer_part = f'","writer":"{self.writer.id}","seq":'

    def silenced(self) -> Recorder:
        """Return a recorder whose lines go nowhere: for what a forked child leaves to its parent to say."""
        twin = copy.copy(self)
        twin.pending, twin.guard = [], Guard()
        twin.writer = JournalWriter(self.writer.home, self.clock, ids=self.ids, mode="memory")
        return twin

    def hide(self, secret: str) -> None:
        """Keep a text out of all that is written from now on, wherever it stands: see `Redactor.hide`."""
        self._redactor.hide(secret)
        self.clean = self._redactor.clean
        self.plain_names.clear()  # they were judged without it

    def make_template(self, run: RecordedRun, name: str | tuple[str, str]) -> Template:
        """Return the fixed parts of a node's lines, and keep them for the run."""
        node, kind = name if isinstance(name, tuple) else (name, None)
        head = f'","run_id":"{run.run_id}","event":"'
        node_text = self.text(node, run)
        rest = f'","level":"INFO","node_id":{node_text},"span_id":"'
        if len(run.templates) > _MOST_NAMES:  # names made up at run time must not fill the memory
            run.templates.clear()
        template = run.templates[name] = Template(
            f"{head}node_started{rest}",
            f"{head}node_completed{rest}",
            "" if kind is None else f'"type":{self._kind(kind, run)}',
            f'","node_id":{node_text},"span_id":"',
        )
        return template

    def _kind(self, kind: str, run: RecordedRun) -> str:
        """Return a kind of node as a JSON string. There are few of them, so the texts are kept."""
        found = self._kinds.get(kind)
        if found is None:
            found = self.text(kind, run)
            if len(self._kinds) < _MOST_KINDS and not self.pending:
                self._kinds[kind] = found
        return found

    def text(self, value: object, run: RecordedRun) -> str:
        """Return any value as a JSON string, secrets removed."""
        if type(value) is str and _is_own_json(value) and not self.clean(value)[1]:
            return f'"{value}"'
        plain = Plain(self._redactor, NAME)
        text = encode_json(plain.text(value if type(value) is str else safe_str(value))).decode()
        if plain.redacted:
            self.pending.append((_Outside(run), Encoded(text, plain.redacted, [])))
        return text

    def learn(self, value: object) -> None:
        """Remember the names in a payload that hold no secrets, so that the next one like it may take the quick way."""
        waiting, seen = [value], 0
        while waiting and seen < _MOST_LEARNT:
            each = waiting.pop()
            seen += 1
            if type(each) is dict:
                self.learn_names(each)
                waiting += list(each.values())[:_MOST_LEARNT]  # in one step: another thread may add one
            elif type(each) is list:
                waiting += each[:_MOST_LEARNT]

    def learn_names(self, names: Iterable[str]) -> None:
        """Remember which of these field names hold no secrets, so that the quick way may be taken."""
        if len(self.plain_names) > _MOST_NAMES:
            self.plain_names.clear()
        for name in list(names):  # in one step: another thread may add one
            if type(name) is str and name.isascii() and not self._redactor.secret_name(name):
                clean, found = self._redactor.clean(name)
                if not found and clean == name:
                    self.plain_names.add(name)

    def event(
        self, scope: Place, name: str, data: dict[str, Any], *, level: str = "INFO", node: str | None = None
    ) -> None:
        """Write one event at a place in a run. Never raises."""
        run = scope.run
        try:
            text = quick_fields(data, self) if data else "{}"
            if text is None:
                encoded = self.values.fields(data)
                self.learn(data)
                text = encoded.text
                if encoded.redacted or encoded.truncated:
                    self.pending.append((scope, encoded))
            self.write(scope, name, text, level=level, node=node)
            if self.pending:
                self.write_pending()
            if self.sync_checkpoints and name == "checkpoint_saved":
                self.writer.sync()
        except BaseException as error:
            self.caught(error, run_id=run.run_id)

    def caught(self, error: BaseException, *, run_id: str, lost: int = 1) -> None:
        """Take note of a fault, like the guard.

        Raises: the error itself, where a signal handler raised it. The call that it ended may have had a number in its
            hand, of an event that nobody was promised.
        """
        try:
            self.guard.caught(error, run_id=run_id, lost=lost)
        except BaseException:
            self.writer.unfinished += 1
            raise

    def write(
        self, scope: Place, name: str, text: str, *, level: str = "INFO", node: str | None = None
    ) -> None:
        """Write one event whose data is JSON text already."""
        run = scope.run
        head = run.events.get((name, level))
        if head is None:
            if len(run.events) > _MOST_NAMES:
                run.events.clear()
            word = safe_str(level)
            shown = self.text(word.upper() if word.upper() in LEVEL_RANK else word, run)[:-1]
            head = f'","run_id":"{run.run_id}","event":{self.text(name, run)},"level":{shown}'
            if not (
                self.sync_checkpoints and name == "checkpoint_saved"
            ):  # that one never takes the quick way
                run.events[name, level] = head
        if node is None:
            where = scope.where()
        else:
            where = f'","node_id":{self.text(node, run)[:-1]}'
            if scope.span_id != NO_SPAN:
                where = f'{where}","span_id":"{scope.span_id}'
        writer = self.writer
        line = f'{self.stamper(self.now())}{head}{where}{self.writer_part}{writer.next_seq()},"data":{text}}}\n'.encode()
        try:
            writer.write(line)
        except (ValueError, OSError):
            writer.rescue(line)

    def write_pending(self) -> None:
        """Write what was noted of secrets removed and payloads cut, after the events that they are about."""
        early: list[tuple[Place, Encoded]] = []
        while self.pending:
            try:
                scope, encoded = self.pending.pop()
            except IndexError:  # another thread took it
                break
            if not hasattr(scope, "span_id"):  # another thread is about to open it
                early.append((scope, encoded))
                continue
            if encoded.redacted:
                note = {"count": len(encoded.redacted), "fields": sorted(set(encoded.redacted))[:20]}
                self.write(scope, "redacted", encode_json(note).decode(), level="DEBUG")
            for field, original_bytes, kept_bytes in encoded.truncated:
                cut = {"field": field, "original_bytes": original_bytes, "kept_bytes": kept_bytes}
                self.write(scope, "payload_truncated", encode_json(cut).decode(), level="WARNING")
        self.pending += early

    def settle(self, scope: Place) -> None:
        """At the end of a run: say what was lost by faults of ours, and look whether the log still stands.

        Never raises: what a fault keeps from being said is said the next time.
        """
        lost = 0
        try:
            self.write_pending()
            lost = self.guard.take(scope.run.run_id)
            if lost:
                note = {"count": lost, "reason": "a fault in recording"}
                self.write(scope, "events_lost", encode_json(note).decode(), level="WARNING")
        except BaseException as error:
            self.caught(error, run_id=scope.run.run_id, lost=lost)
        self.writer.check()
        if self.sync_checkpoints:
            self.writer.sync()

    def trace_in_memory(self, run_id: str) -> ExecutionTrace:
        """Return what the lines that wait in memory say of a run."""
        events = [decode_event(line) for line in self.writer.lines()]
        own = [event for event in events if event is not None and event.run_id == run_id]
        return ExecutionTrace.from_events(own) if own else ExecutionTrace(run_id=run_id)
