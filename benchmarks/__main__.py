"""`make bench`: print a table and write build/bench.json."""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.samples import ROOT

QUESTIONS = ("snp", "tdx", "h100", "policy", "peers", "process", "batch", "kbs_release")


def main() -> int:
    results = []
    print(f"{'':<16}{'value ms':>10}{'floor ms':>10}{'ratio':>8}{'aim':>10}")
    for question in sys.argv[1:] or QUESTIONS:
        for result in importlib.import_module(f"benchmarks.{question}").run():
            results.append(result)
            missed = "  missed" if result.missed else ""
            print(
                f"{result.name:<16}{result.value:>10.3f}{result.floor:>10.3f}"
                f"{result.ratio:>8.2f}{result.aim:>10}{missed}"
            )
    table = {
        result.name: {
            "value": round(result.value, 4),
            "unit": "ms",
            "floor": round(result.floor, 4),
            "ratio": round(result.ratio, 3),
        }
        for result in results
    }
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(table, indent=1) + "\n")
    print(f"written to {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
