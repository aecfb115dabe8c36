"""What sentences say: facts, rules, relations, dates, what a path in words concludes, and how two statements compare."""
