"""Every error that Clew raises on purpose.

ClewError
├── UsageError                  bad input from a user of our commands: one sentence, exit code 2
│   ├── NoSuchRunError          no run has that id, name or position
│   ├── AmbiguousRunError       an id prefix or a name fits several runs
│   ├── UnknownFormatError      no importer or exporter of that name, or none fits the file
│   ├── ImportFormatError       a file that an importer was told to read is not in its format
│   ├── ConfigError             a setting has a value that it cannot have
│   ├── TargetError             `clew run` cannot run that target
│   └── MissingExtraError       an optional library is not installed
├── JournalError                the journal cannot be opened or read
├── SinkError                   a sink could not take events now; the tailer retries from its offset
├── PatchError                  an RFC 6902 patch does not apply
└── BrokenStateError            a recorded state cannot be rebuilt, or its hash differs

Nothing below is ever raised into code that is being recorded: see `clew.record.guard`.
"""


class ClewError(Exception):
    """The root of the tree."""


class UsageError(ClewError):
    """What a user of a command gave cannot be used; the message says what, where and what to do."""


class NoSuchRunError(UsageError):
    """No run has that id, name or position."""


class AmbiguousRunError(UsageError):
    """An id prefix or a name fits several runs."""


class UnknownFormatError(UsageError):
    """No importer or exporter has that name, or none recognises the file."""


class ImportFormatError(UsageError):
    """A file is not in the format that it was to be read as."""


class ConfigError(UsageError):
    """A setting has a value that it cannot have."""


class TargetError(UsageError):
    """`clew run` cannot run that target."""


class MissingExtraError(UsageError):
    """An optional library is not installed; the message has the pip line."""


class JournalError(ClewError):
    """The journal cannot be opened or read."""


class SinkError(ClewError):
    """A sink could not take events now."""

    def __init__(self, message: str, *, taken: int = 0) -> None:
        """Args: taken: how many lines of the batch, from its first, the sink did take."""
        super().__init__(message)
        self.taken = taken


class PatchError(ClewError):
    """An RFC 6902 patch does not apply to the document."""


class BrokenStateError(ClewError):
    """A recorded state cannot be rebuilt, or what was rebuilt has another hash."""
