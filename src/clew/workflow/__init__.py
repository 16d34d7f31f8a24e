"""Workflow projects: a manifest, prompts and tools, run and recorded node by node."""
