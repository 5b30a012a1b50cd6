"""All measures, by number."""

from benchmarks.console import P13, P14
from benchmarks.consuming import P6, P7
from benchmarks.draining import P3, P4, P5, P9
from benchmarks.publishing import P1, P2
from benchmarks.standing import P8, P10, P12
from benchmarks.sustained import P11

_ALL = (P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14)
MEASURES = {m.number: m for m in _ALL}
