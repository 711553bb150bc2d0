"""Recordings as points that can be looked at and selected."""
