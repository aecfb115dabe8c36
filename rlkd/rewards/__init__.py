"""Rewards: structure, outcome, format and length, their combination, and the ledger of every scored completion.

Imports neither torch nor an orchestrator, so that it can be used with any trainer.
"""
