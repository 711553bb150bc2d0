"""Corpus recipes: from pinned packages to clips, one manifest and a data card."""

from mowe.training.corpus.build import build_corpus
from mowe.training.corpus.clips import Settings
from mowe.training.corpus.download import CorpusError
from mowe.training.corpus.sources import SOURCES

__all__ = ["SOURCES", "CorpusError", "Settings", "build_corpus"]
