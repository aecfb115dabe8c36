"""Configuration: loaded, checked, its faults told at once."""
