"""Clew records what a run did, once, in one local log.

import clew

with clew.run("nightly-calibration") as run:
    with clew.span("algorithm.ask", iteration="3") as span:
        span.metrics["n_params"] = 12
trace = run.trace
"""

from __future__ import annotations

from clew.model.trace import ExecutionTrace
from clew.record.hot import add_metric, event, span
from clew.record.noop import NOOP_SPAN
from clew.record.propagation import traceparent
from clew.session import current_run, current_span, run, traced
from clew.version import VERSION

__version__ = VERSION
__all__ = [
    "NOOP_SPAN",
    "ExecutionTrace",
    "__version__",
    "add_metric",
    "current_run",
    "current_span",
    "event",
    "run",
    "span",
    "traced",
    "traceparent",
]
