"""The store: which run lies in which segment, and reading runs back."""
