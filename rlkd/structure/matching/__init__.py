"""Pairs a student's steps with the teachers' by the verdicts on them, and scores what departs."""
