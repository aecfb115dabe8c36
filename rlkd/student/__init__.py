"""The student: loading, saving, prompting and sampling."""
