"""The garbage collector of a process that serves.

Sessions leave no cycles behind: their memory is given back when the last reference goes.  What
is left for the collector is what exceptions and libraries tie together now and then.  With
Python's defaults it looked through everything that start-up had made each few thousand logins,
for 30 to 90 ms in which nobody was served, and cost a login a tenth of its time.
"""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 10, 10)
"""See gc.set_threshold: a collection for so many objects more, of which sessions are most."""


def settle() -> None:
    """Start-up is over: what is there now stays, and is not looked at again."""
    # Of what was frozen before, a reload may have made garbage.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
