"""One Prefect task per stage, and what surrounds it: the store, run folders, job processes, tracking."""
