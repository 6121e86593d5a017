"""Entry of the worker process: `python start.py FD` or `blender --background --python start.py -- FD`.

FD is the file descriptor on which replies are written; requests come as lines on standard input.
"""

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Blender's task pool sizes itself by the processor mask when it loads, and its idle threads spin: a one-thread render
# then burns two cores. Load it under a mask of one core and open the mask again afterwards.
MASK = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
if MASK:
    os.sched_setaffinity(0, {sorted(MASK)[os.getpid() % len(MASK)]})

sys.path.insert(0, HOME)
from blender.server import serve  # type: ignore[import-not-found] # noqa: E402

serve(int(sys.argv[-1]), MASK)
