"""The Health tab: signs of failure."""
