"""Samples and the Parquet directories that hold them: write, read, check, view, split, merge, import, export."""

from pacenote.data.card import Card
from pacenote.data.classes import CLASS_INDEX, CLASSES, class_of
from pacenote.data.dataset import Dataset, DatasetWriter, finish_dataset
from pacenote.data.sample import SPLITS, Picture, Sample
from pacenote.data.shards import Rejected, shard_name, write_shard

__all__ = [
    "CLASSES", "CLASS_INDEX", "SPLITS", "Card", "Dataset", "DatasetWriter", "Picture", "Rejected", "Sample",
    "class_of", "finish_dataset", "shard_name", "write_shard",
]  # fmt: skip
