"""Servers that belong to the pipeline: pages, a private Prefect server."""
