"""What every long job needs: shards, atomic files, digests, run directories, progress, a report page."""

from pacenote.work.executor import Shard, ShardResult, run_shards
from pacenote.work.files import atomic, digest, digest_file, digest_tree, prepare_out, read_json, write_json, write_text
from pacenote.work.page import Page
from pacenote.work.progress import progress, say
from pacenote.work.rundir import RunDirectory, versions

__all__ = [
    "Page", "RunDirectory", "Shard", "ShardResult", "atomic", "digest", "digest_file", "digest_tree", "prepare_out",
    "progress", "read_json", "run_shards", "say", "versions", "write_json", "write_text",
]  # fmt: skip
