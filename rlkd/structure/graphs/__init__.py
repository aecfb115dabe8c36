"""Links the calculations of a path: which uses the result of which, and what is open at the end."""
