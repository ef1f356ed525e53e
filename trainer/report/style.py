"""The page's stylesheet: light and dark, screen and paper."""

LIGHT = """
--paper:#fff;--ink:#1d2329;--soft:#5a6570;--rule:#d9dee3;--band:#f4f6f8;--accent:#0b6bb3;
--c1:#0b6bb3;--c2:#c8500a;--c3:#118a5b;--c4:#8a3ab9;--c5:#a87b00;--c6:#c2367b;--c7:#4a5fd0;
--c8:#6b7a1f;--c9:#8c4a2f;--c10:#0f8fa8;--c11:#d33a2c;--c12:#5b5b8c;
"""
DARK = """
--paper:#14181c;--ink:#e4e8ec;--soft:#9aa6b2;--rule:#343c44;--band:#1d2329;--accent:#6db9f2;
--c1:#6db9f2;--c2:#f49a5c;--c3:#58cf9b;--c4:#c995ee;--c5:#e3bd4a;--c6:#f28cbb;--c7:#99a7ff;
--c8:#b9c95f;--c9:#d4977a;--c10:#5fd3e8;--c11:#ff8276;--c12:#b0b0e0;
"""

STYLE = f"""
:root{{color-scheme:light dark;{LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{DARK}}}}}
@media print{{:root{{color-scheme:light;{LIGHT}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--paper);color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}}
main,header{{max-width:1000px;margin:0 auto;padding:0 24px}}
header{{padding-top:40px}}
h1{{font-size:30px;line-height:1.2;margin:0 0 4px}}
h2{{font-size:22px;margin:56px 0 12px;padding-top:12px;border-top:2px solid var(--ink)}}
h3{{font-size:17px;margin:32px 0 8px}}
p{{margin:8px 0}}
header p,.note{{color:var(--soft)}}
.note{{font-size:14px;max-width:80ch}}
.lead{{font-size:20px;line-height:1.4;margin:12px 0 20px}}
.warning{{border-left:4px solid var(--c2);padding:4px 12px;background:var(--band)}}
nav{{margin:16px 0 0;font-size:14px;display:flex;flex-wrap:wrap;gap:4px 18px}}
a{{color:var(--accent)}}
.cards{{display:grid;grid-template-columns:repeat(auto-fit,minmax(270px,1fr));gap:16px}}
.cards article{{border:1px solid var(--rule);border-radius:6px;padding:14px 16px;
  background:var(--band)}}
.cards h3{{margin:0;font-size:15px;color:var(--soft);font-weight:600}}
.cards p{{font-size:15px;font-variant-numeric:tabular-nums}}
.cards .verdict{{font-size:16px;font-weight:650}}
.wide{{overflow-x:auto;margin:16px 0}}
table{{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;width:100%}}
caption{{text-align:left;font-weight:600;font-size:14px;padding:0 0 6px;
  position:sticky;left:0;max-width:calc(100vw - 32px)}}
th,td{{padding:4px 10px 4px 0;text-align:left;vertical-align:top;
  border-bottom:1px solid var(--rule)}}
thead th{{color:var(--soft);font-weight:600;vertical-align:bottom;border-bottom-color:var(--ink)}}
tbody th{{font-weight:400}}
tbody th,tbody td{{white-space:nowrap}}
tbody .wraps{{white-space:normal}}
.search{{display:flex;flex-wrap:wrap;gap:8px 12px;align-items:center;margin:16px 0 -8px}}
.search[hidden]{{display:none}}
.search input{{flex:1 1 220px;max-width:340px}}
.search input,.search button{{font:inherit;font-size:14px;color:inherit;background:var(--paper);
  border:1px solid var(--soft);border-radius:5px;padding:4px 9px}}
.search output{{font-size:14px;color:var(--soft)}}
th button{{font:inherit;color:inherit;background:none;border:0;padding:0;text-align:inherit;
  cursor:pointer}}
th[aria-sort=ascending] button::after{{content:" ▲"}}
th[aria-sort=descending] button::after{{content:" ▼"}}
.number+:not(.number){{padding-left:22px}}
.number{{text-align:right;padding-right:4px;padding-left:10px}}
tr.marked>*{{background:var(--band);font-weight:650}}
.interval{{display:block;font-size:11.5px;font-weight:400;color:var(--soft)}}
dl{{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));
  gap:10px 24px;margin:12px 0}}
dt{{font-size:13px;color:var(--soft)}}
dd{{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}}
figure{{margin:20px 0}}
figcaption{{font-weight:600;font-size:14px;margin-bottom:4px}}
svg{{display:block;width:100%;max-width:620px;font-size:12px}}
.charts{{display:grid;grid-template-columns:repeat(auto-fit,minmax(400px,1fr));gap:0 28px}}
.pair{{display:grid;grid-template-columns:minmax(0,460px) minmax(0,1fr);gap:28px;
  align-items:center}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--band);padding:10px 14px;
  font-size:14px}}
.trio{{display:grid;grid-template-columns:1fr 1fr;gap:0 28px}}
.trio>:first-child{{grid-column:1/-1;max-width:640px}}
main{{padding-bottom:60px}}
@media (max-width:760px){{main,header{{padding-left:16px;padding-right:16px}}
  .pair,.trio,.charts{{grid-template-columns:minmax(0,1fr)}}}}
@media print{{nav{{display:none}}body{{font-size:11pt}}main,header{{max-width:none}}
  figure,article,tr{{break-inside:avoid}}h2,h3,caption{{break-after:avoid}}
  .wide{{overflow:visible}}}}
"""
