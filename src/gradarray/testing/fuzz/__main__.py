"""`python -m gradarray.testing.fuzz --seconds N --seed S`: cases one after the other.

It ends with 0, with 1 where a case failed, and with 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time

from . import Tally, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gradarray.testing.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31, help="of the first")
    parser.add_argument("--count", type=int, default=2**62, help="stop after so many")
    parser.add_argument("--failures", type=int, default=1, help="stop after so many failures")
    args = parser.parse_args()
    print(f"seeds from {args.seed} on", flush=True)
    start, tally, seed = time.monotonic(), Tally(), args.seed
    try:
        for seed in range(args.seed, args.seed + args.count):
            if time.monotonic() - start > args.seconds or tally.failed >= args.failures:
                break
            why = fuzz(seed, tally)
            if why:
                print(why, flush=True)
    except KeyboardInterrupt:
        print(f"\nstopped at seed {seed}; {tally}")
        return 128 + signal.SIGINT  # as a shell says it
    print(tally)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
