"""The flows, the command line and the presets: wiring only."""
