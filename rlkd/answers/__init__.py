"""Whether an answer is right: stated, normalised, compared."""
