"""Loaded: when this process began to read the library's files.

What is changed on disk later is not what runs here (compiler/recall.py).
"""

import time

at = time.time()  # seconds since 1970
