"""Emergency codes, sealed in advance: a sheet (core.sheets) that two administrators open for a while.

It judges as factors/recovery.py does, and knows nothing of who has opened it. NIST SP 800-63B 3.1.2.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.factors import recovery

KIND: Final = "breakglass"
find: Final = recovery.find
