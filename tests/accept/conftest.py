"""The fixtures of the e2e ring: tests/e2e/harness."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from harness.fixtures import *  # noqa: E402,F401,F403
