"""Rewards: structure, outcome, format and length, their combination, and the ledger of every scored completion.

The way of a completion begins in ``scoring``: it is read once (:mod:`rlkd.answers.conventions`), its path is scored against
the teachers' (:mod:`rlkd.structure.scorer`), every one of ``components`` is asked about it, and what they say is combined.
``ledger`` keeps the row, ``statistics`` sums rows up, ``loops`` sees what repeats itself, ``breaker`` stops a run whose scores are missing. ``texts``, ``files`` and
``functions`` do the same from plain texts, for files of rows, and for other trainers.

Imports neither torch nor an orchestrator, so that it can be used with any trainer.
"""
