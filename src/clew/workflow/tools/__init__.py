"""What a tool node or an agent calls: one kind of tool a file."""
