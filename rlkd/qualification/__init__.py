"""Qualification: does the structure reward measure anything? Asked before RL trains on it.

Labelled pairs (:mod:`.pairs`), trivial baselines and AUROC with intervals (:mod:`.measures`), changed paths
(:mod:`.changes`, :mod:`.world_changes`, :mod:`.paraphrase`), the measurement (:mod:`.measure`), the verdict
under the configured thresholds (:mod:`.verdict`), and the stage (:mod:`.stage`).
"""
