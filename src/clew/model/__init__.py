"""What a run is: ids, events, payloads, the trace and its fold. Nothing here does I/O."""
