"""The Specialisation tab: which encoder is chosen for what."""
