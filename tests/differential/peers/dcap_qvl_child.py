"""Run by the interpreter that has dcap-qvl, not by ours: one JSON question a line, one JSON answer a line."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime


def main() -> None:
    # A panic inside it prints to stderr, and something to stdout perhaps: only answers leave by this stream.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import dcap_qvl

    print(json.dumps({"ready": f"dcap-qvl {dcap_qvl.__version__}"}), file=answers, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        files = {role: bytes.fromhex(text) for role, text in question["files"].items()}
        now = int(datetime.fromisoformat(question["at"].replace("Z", "+00:00")).timestamp())
        try:
            collateral = dcap_qvl.QuoteCollateralV3.from_json(files["collateral"].decode())
            if "trusted_root" in files:
                report = dcap_qvl.verify_with_root_ca(files["quote"], collateral, files["trusted_root"], now)
            else:
                report = dcap_qvl.verify(files["quote"], collateral, now)
            detail = " ".join([report.status, *sorted(report.advisory_ids)])
            answer = {"accepts": True, "detail": detail, "why": ""}
        except Exception as error:  # noqa: BLE001  (whatever it raises is its refusal)
            answer = {"accepts": False, "detail": "", "why": " ".join(str(error).split())[:400]}
        except BaseException as error:  # noqa: BLE001  (a panic of Rust is none of Exception's)
            answer = {"accepts": False, "detail": "", "why": f"panic: {' '.join(str(error).split())[:400]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
