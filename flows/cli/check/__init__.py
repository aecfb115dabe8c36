"""The command `rlkd check`."""
