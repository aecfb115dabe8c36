"""Experiments: the plan of cells, budgets, statistics, verdicts and the report."""
