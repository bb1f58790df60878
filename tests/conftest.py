# SPDX-License-Identifier: Apache-2.0
"""How Hypothesis looks for examples: no deadline (machines are shared), the same examples in every CI run."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("ringback", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("ringback"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "ringback")
