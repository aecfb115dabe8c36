"""Numbers, number words and units: one reader for answers and structure."""
