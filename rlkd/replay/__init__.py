"""What other weights would have rewarded, from a run's ledger."""
