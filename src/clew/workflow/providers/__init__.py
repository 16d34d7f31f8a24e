"""What answers prompts: one source of answers a file, behind `clew.workflow.chat.ChatModel`."""
