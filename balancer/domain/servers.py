"""What common servers draw at 0, 10, ... 100 % load, as measured by SPECpower_ssj2008 (spec.org/power_ssj2008/results).

The number is the last part of the result's address there. Your own model is there too, with the values of "Average
Active Power" to write down as `power: {watts: [...]}`; a machine with more memory or disks draws more.
"""

from __future__ import annotations

from typing import Final

WATTS: Final[dict[str, tuple[float, ...]]] = {
    "dell-r640": (55, 125, 151, 176, 202, 232, 261, 301, 357, 421, 469),  # 2 Xeon Platinum 8180; 20170829-00781
    "dell-r740": (52.3, 129, 147, 170, 195, 224, 255, 292, 344, 408, 457),  # 2 Xeon Platinum 8180; 20170829-00780
    "dell-r830": (86.4, 181, 215, 253, 287, 315, 340, 377, 421, 483, 562),  # 4 Xeon E5-4669 v4; 20160705-00737
    "dell-r940": (106, 245, 292, 336, 383, 437, 502, 583, 694, 820, 915),  # 4 Xeon Platinum 8180; 20171010-00789
    "fujitsu-rx300-s4": (166, 179, 191, 200, 212, 224, 235, 245, 252, 259, 265),  # 2 Xeon E5440; 20080116-00034
    "hp-ml110-g4": (86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117),  # Xeon 3040; 20110127-00342
    "hp-ml110-g5": (93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135),  # Xeon 3075; 20110124-00339
    "ibm-x3250-x3470": (41.6, 46.7, 52.3, 57.9, 65.4, 73, 80.7, 89.5, 99.6, 105, 113),  # 20091104-00213
    "ibm-x3250-x3480": (42.3, 46.7, 49.7, 55.4, 61.8, 69.3, 76.1, 87, 96.1, 106, 113),  # 20101001-00297
    "ibm-x3550-x5670": (66, 107, 120, 131, 143, 156, 173, 191, 211, 229, 247),  # 20100315-00239
    "ibm-x3550-x5675": (58.4, 98, 109, 118, 128, 140, 153, 170, 189, 205, 222),  # 20110406-00368
}
