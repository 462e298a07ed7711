"""The style sheet of our page: one text, so that its digest can stand in the page's own security policy.

Contrast of text is at least 4.5 to 1 in both schemes; no meaning rests on colour alone: each state has a mark and
its words beside it.
"""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1a1f27;--soft:#4a5361;--line:#d5dae1;
--good:#11663a;--good-bg:#e4f3ea;--bad:#a3161f;--bad-bg:#fbe7e8;--warn:#7a4a00;--warn-bg:#fdf1dc}
@media (prefers-color-scheme:dark){:root{--page:#11151b;--card:#1a2029;--ink:#e8ecf1;--soft:#aeb8c5;--line:#36404d;
--good:#7ed6a2;--good-bg:#15301f;--bad:#ff9ea3;--bad-bg:#3a191c;--warn:#f2c274;--warn-bg:#352711}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.45rem;line-height:1.3;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .6rem}
p{margin:.4rem 0}
code{font:.86em/1.4 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.verdict{background:var(--card);border:1px solid var(--line);border-left:.5rem solid;border-radius:.4rem;padding:1rem 1.2rem}
.verdict.good{border-left-color:var(--good)}.verdict.bad{border-left-color:var(--bad)}
.verdict.warn{border-left-color:var(--warn)}
.word{font-weight:700;letter-spacing:.03em}
.good .word,.mark.good{color:var(--good)}.bad .word,.mark.bad{color:var(--bad)}.warn .word,.mark.warn{color:var(--warn)}
.soft{color:var(--soft)}
.banner{background:var(--warn-bg);color:var(--warn);border:1px solid;border-radius:.4rem;padding:.5rem .8rem;margin:.8rem 0;font-weight:600}
ul.parts{list-style:none;margin:.8rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.4rem}
ul.parts li{border:1px solid var(--line);border-radius:1rem;padding:.1rem .7rem;background:var(--card);white-space:nowrap}
.finding{background:var(--card);border:1px solid var(--line);border-left:.35rem solid var(--bad);border-radius:.4rem;
padding:.7rem 1rem;margin:.7rem 0;break-inside:avoid}
.finding.warn{border-left-color:var(--warn)}
.finding h3{font-size:1rem;margin:0 0 .4rem;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:8.5rem 1fr;gap:.15rem .8rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
details{background:var(--card);border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0}
summary{padding:.55rem .9rem;cursor:pointer}
summary:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
summary .title{font-weight:600}
.table{overflow-x:auto;padding:0 .9rem .8rem}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .8rem .35rem 0;border-top:1px solid var(--line);overflow-wrap:anywhere}
thead th{border-top:0;color:var(--soft);font-weight:600;white-space:nowrap;overflow-wrap:normal}
th[scope=row]{font-weight:600;overflow-wrap:normal}
td.state,td.place{white-space:nowrap}
td[data-label]{min-width:6.8rem}td.purpose{color:var(--soft);min-width:12rem}
.names{font-size:.88rem;color:var(--soft);overflow-wrap:anywhere}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem;font-size:.88rem;color:var(--soft)}
@media (max-width:40rem){dl{grid-template-columns:1fr}dt{margin-top:.3rem}
table,tbody,tr,td,th{display:block}thead{display:none}tr{border-top:1px solid var(--line);padding:.4rem 0}
td,th[scope=row]{border:0;padding:.05rem 0}td.state,td.place{white-space:normal}td[data-label]:before{content:attr(data-label) ": ";color:var(--soft)}}
@media print{:root{--page:#fff;--card:#fff;--ink:#000;--soft:#333;--line:#999;--good:#000;--bad:#000;--warn:#000;
--warn-bg:#fff}
body{font-size:10.5pt}main{max-width:none;padding:0}summary{list-style:none}tr,.finding{break-inside:avoid}
details{border:0;border-top:1px solid var(--line);border-radius:0}h2{break-after:avoid}}
"""


def style_source() -> str:
    """The source expression by which a Content-Security-Policy admits this sheet and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
