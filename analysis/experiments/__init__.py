"""Experiments as figures: what a comparison says, where an arm is right, who hears what."""
