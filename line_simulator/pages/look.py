"""How the simulated pages of access.line.me look: one card on a phone, in Japanese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final
from urllib.parse import parse_qsl

from line_simulator.exchange import HTML_TYPE, Request, Response
from line_simulator.pages.browser import PERSON_COOKIE
from line_simulator.world.state import PersonRecord, World

_PEOPLE_SHOWN: Final = 50
_STYLE: Final = """
*{box-sizing:border-box}
body{margin:0;background:#f4f5f7;color:#111;font:16px/1.6 system-ui,-apple-system,"Hiragino Sans","Noto Sans CJK JP",sans-serif}
main{max-width:26rem;min-height:100vh;margin:0 auto;background:#fff;padding:1.25rem 1.25rem 1rem;display:flex;flex-direction:column}
header{display:flex;align-items:center;gap:.75rem;padding-bottom:1rem;border-bottom:1px solid #e8e8e8;margin-bottom:1rem}
header .icon{flex:none;width:3rem;height:3rem;border-radius:50%;background:#06c755;color:#fff;display:grid;place-items:center;
font-weight:700;font-size:1.25rem}
h1{font-size:1.05rem;margin:0;overflow-wrap:anywhere}
header p{margin:0;color:#777;font-size:.8rem;overflow-wrap:anywhere}
.who{background:#f4f5f7;border-radius:.75rem;padding:.75rem 1rem;margin:0 0 1rem;overflow-wrap:anywhere}
ul{list-style:none;margin:0 0 1rem;padding:0}
li{padding:.7rem 0;border-bottom:1px solid #f0f0f0}
li small{color:#777;margin-left:.25rem}
label.choice{display:flex;gap:.6rem;align-items:center;padding:.7rem 0;cursor:pointer}
input[type=checkbox]{width:1.35rem;height:1.35rem;accent-color:#06c755;flex:none}
select{width:100%;font:inherit;padding:.7rem;border:1px solid #ccc;border-radius:.5rem;background:#fff}
button{display:block;width:100%;min-height:3rem;margin-top:.6rem;border:0;border-radius:.5rem;background:#06c755;color:#fff;
font:inherit;font-weight:700;cursor:pointer}
button.plain{background:#fff;color:#333;border:1px solid #d5d5d5}
button.quiet{background:none;color:#4a6ee0;font-weight:400}
button:focus-visible,select:focus-visible,input:focus-visible{outline:3px solid #4a6ee0;outline-offset:2px}
.mark{width:4rem;height:4rem;margin:2rem auto 1rem;border-radius:50%;background:#06c755;color:#fff;display:grid;place-items:center;
font-size:2rem;font-weight:700}
.mark.bad{background:#e0862c}
.done{text-align:center}
.sim{margin-top:auto;padding-top:1.5rem;color:#666;font-size:.75rem;text-align:center}
"""
_CLOSE: Final = "if(parent!==window)parent.postMessage({linesim:'close'},'*');window.close()"


def page(title: str, content: str, *, name: str = "", note: str = "", status: int = 200) -> Response:
    """Return a page. `content` is HTML; title, name (whose icon and heading stand on top) and note are plain text."""
    heading = (
        f'<header><span class="icon" aria-hidden="true">{escape(name[:1])}</span><div><h1>{escape(name)}</h1>'
        f"<p>{escape(note)}</p></div></header>"
        if name
        else ""
    )
    text = (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{heading}{content}"
        '<p class="sim">これはLINEの模擬環境です</p></main></body></html>'
    )
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    # Names may hold lone surrogates, which no page can show.
    return Response(status, text.encode("utf-8", "replace"), HTML_TYPE, headers)


def outcome(title: str, sentence: str, *, good: bool, status: int = 200) -> Response:
    """Return the last page of a dialog: one sentence and the way back."""
    kind, mark = ("mark", "✓") if good else ("mark bad", "!")
    return page(
        title,
        f'<p class="{kind}" aria-hidden="true">{mark}</p><p class="done">{escape(sentence)}</p>'
        f'<button type="button" class="plain" onclick="{_CLOSE}">閉じる</button>',
        status=status,
    )


def hidden(fields: Mapping[str, str]) -> str:
    """Return hidden inputs."""
    return "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items())


def people_choice(world: World, chosen: PersonRecord | None) -> str:
    """Return a select box of people, `chosen` preselected. Callers hold the world's lock."""
    people = list(world.state.people.values())[:_PEOPLE_SHOWN]
    if chosen is not None and chosen not in people:
        people.insert(0, chosen)
    return f'<select name="person" aria-label="LINEにログインする人">{"".join(_options(people, chosen))}</select>'


def _options(people: Iterable[PersonRecord], chosen: PersonRecord | None) -> Iterable[str]:
    for one in people:
        selected = " selected" if chosen is not None and one.id == chosen.id else ""
        yield f'<option value="{escape(one.id)}"{selected}>{escape(one.name)}</option>'


def cookies(request: Request) -> dict[str, str]:
    """Return the cookies of a request."""
    return dict(parse_qsl(request.headers.get("cookie", "").replace("; ", "&")))


def owner_of_phone(world: World, request: Request) -> PersonRecord | None:
    """Return whose phone a request comes from, if its cookie says so."""
    return world.state.people.get(cookies(request).get(PERSON_COOKIE, ""))
