/** The look of a report, in the page itself: it refers to nothing outside. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--line:#d9dee3;--back:#fff;--card:#f6f8fa;--right:9,105,218;--wrong:188,76,0}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#30363d;--back:#0d1117;--card:#161b22;--right:56,139,253;--wrong:219,109,40}}
*{box-sizing:border-box}
body{margin:0 auto;padding:32px 24px 64px;max-width:860px;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:36px 0 12px}
.lead,.note{color:var(--soft);margin:0 0 20px}
.note{font-size:13px;margin:8px 0 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:12px}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.card b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums}
.card span{color:var(--soft);font-size:13px}
.vgg-curves{width:100%}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600}
td.number,th.number{text-align:right;padding-left:12px}
.facts th{font-weight:400;color:var(--soft);white-space:nowrap;padding-right:24px}
.facts td{overflow-wrap:anywhere}
.confusion{font-size:14px}
.confusion td,.confusion thead th{text-align:center;padding:6px 10px;min-width:44px}
.confusion tbody th{text-align:right;white-space:nowrap;padding-right:12px}
.confusion td.right{background:rgba(var(--right),var(--part))}
.confusion td.wrong{background:rgba(var(--wrong),var(--part))}
.confusion td.none{color:var(--soft);opacity:.5}
.confusion td.recall{color:var(--soft);text-align:right}
ul.classes{display:flex;flex-wrap:wrap;gap:6px;list-style:none;margin:0;padding:0}
ul.classes li{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:1px 8px}
footer{margin-top:40px;padding-top:12px;border-top:1px solid var(--line);color:var(--soft);font-size:13px}
`.trim();
