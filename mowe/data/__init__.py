"""What training, evaluation and analysis share: manifests, records, features, sampling."""
