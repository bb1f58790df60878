# SPDX-License-Identifier: Apache-2.0
"""Video beside the sound: what a room answers, in bundles and alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdp_peers import CHROMIUM_VIDEO  # noqa: F401

