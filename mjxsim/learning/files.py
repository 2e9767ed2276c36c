"""Files that are either complete on the disk or not there: `mjxsim.files`, for the learners."""

from mjxsim.files import Json, sync, write_json, write_text

__all__ = ["Json", "sync", "write_json", "write_text"]
