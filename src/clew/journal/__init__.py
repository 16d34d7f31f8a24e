"""The write-ahead log: segments, their readers, and recovery of dead writers."""
