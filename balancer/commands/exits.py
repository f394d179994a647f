"""Exit codes; other programs rely on them."""

DONE = 0
ERROR = 1
THERE_IS_A_PLAN = 2
REFUSED = 3
USAGE = 64
INTERRUPTED = 130
