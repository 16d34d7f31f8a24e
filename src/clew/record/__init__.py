"""Recording: runs, spans, context, redaction, payload capture. Writes to a journal and to nothing else."""
