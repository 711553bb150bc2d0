"""Manifests, feature store, the two training stages and their loop."""
