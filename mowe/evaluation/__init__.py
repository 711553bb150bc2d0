"""Scores of a checkpoint on held-out manifest lines, with every answer kept beside the summary."""
