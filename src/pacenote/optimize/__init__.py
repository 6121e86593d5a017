"""The prompt optimizer: rounds of edits of a prompt book, accepted only by a test that it cannot fool."""
