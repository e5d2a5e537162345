"""Temporary codes, for whose fob is lost or forgotten: a sheet (core.sheets) that ends by itself.

It judges as factors/recovery.py does, and knows nothing of who has granted it. NIST SP 800-63B 3.1.2.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.factors import recovery

KIND: Final = "temporary"
find: Final = recovery.find
