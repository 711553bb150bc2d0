"""The Map tab: recordings as points."""
