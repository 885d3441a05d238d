"""Walking through the pages of LINE Login and LIFF as a person does: log in, consent, add the friend, go back."""

from __future__ import annotations

from typing import Final

from line_simulator.exchange import SimulatorError
from line_simulator.pages.browser import Browser, Form, Page

_STEPS_MAX: Final = 6
_COUNTERPARTS: Final = {
    "https://liff.line.me/": "/liff/",
    "https://miniapp.line.me/": "/liff/",
    "https://access.line.me/": "/",
}


def at_home(origin: str, url: str) -> str:
    """Return the simulator's counterpart of a page of LINE (LIFF URLs and the dialogs of access.line.me), else the URL itself."""
    for host, path in _COUNTERPARTS.items():
        if origin and url.startswith(host):
            return origin + path + url.removeprefix(host)
    return url


def log_in(browser: Browser, person_id: str, page: Page, *, agree: bool, add_friend: bool) -> Page:
    """Answer the pages from `page` on and return the first that is not one of them.

    Raises SimulatorError if they do not end.
    """
    for _ in range(_STEPS_MAX):
        form = page.forms()[0] if page.status < 400 and page.forms() else None
        if form is None or not ("step" in form.fields or _leads_back(form)):
            return page
        page = browser.post(form.action, _answers(form, person_id, agree=agree, add_friend=add_friend), page.url)
    raise SimulatorError(f"The login pages do not end; the last was {page.url}.")


def _leads_back(form: Form) -> bool:
    """Tell whether it is the form of response_mode=form_post, which a browser sends by itself."""
    return form.method == "post" and ({"code", "state"} <= set(form.fields) or bool({"error", "response"} & set(form.fields)))


def _answers(form: Form, person_id: str, *, agree: bool, add_friend: bool) -> dict[str, str]:
    if "step" not in form.fields:
        return form.fields
    fields = {**form.fields, "person": person_id, "answer": "allow" if agree else "cancel"}
    if add_friend:
        fields["add_friend"] = "on"
    return fields
