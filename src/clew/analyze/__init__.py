"""Pure functions of traces: summaries, rankings, layouts."""
