"""Training a GSRM: paths, their annotation, fine-tuning, and evaluation as a decomposer (paper, section 3.1)."""
