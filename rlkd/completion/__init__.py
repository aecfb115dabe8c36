"""One asynchronous interface to any model that writes text: HTTP endpoints and local models."""
