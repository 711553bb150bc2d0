"""Corpus recipes: from pinned packages to clips, one manifest and a data card."""

from corpus.build import build_corpus
from corpus.clips import Settings
from corpus.download import CorpusError
from corpus.sources import SOURCES

__all__ = ["SOURCES", "CorpusError", "Settings", "build_corpus"]
