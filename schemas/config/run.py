"""Every kind of configuration that a run may have."""

from __future__ import annotations

from schemas.config.gsrm import GsrmConfig
from schemas.config.pipeline import PipelineConfig

RunConfig = PipelineConfig | GsrmConfig
"""What a run was configured with: a distillation, or the training of a GSRM."""
