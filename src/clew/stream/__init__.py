"""Streaming: tailers read the journal as it grows; sinks put what they read somewhere."""
