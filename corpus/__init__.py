"""Corpus recipes: from pinned packages to clips, one manifest and a data card."""

from corpus.build import build_corpus
from corpus.clips import CorpusSettings
from corpus.download import CorpusError
from corpus.sources import SOURCES

__all__ = ["SOURCES", "CorpusError", "CorpusSettings", "build_corpus"]
