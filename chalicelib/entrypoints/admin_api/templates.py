"""Templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.messages.model import Template


class TemplateBody(Body, kw_only=True):
    """A new template. content: LINE {"messages": […]}, e-mail {subject, text, html}, SMS {text}, postal {heading, body, link}."""

    name: str
    channel: Literal["line", "email", "sms", "postal"]
    content: dict[str, Any]
    template_id: str = ""


class TemplateChange(Body, kw_only=True):
    """A template's new text."""

    name: str
    content: dict[str, Any]


class TemplateView(View, kw_only=True):
    """A template."""

    template_id: str
    name: str
    channel: str
    content: dict[str, Any]
    version: int
    updated_at: datetime
    is_personal: bool


class TemplateList(View, kw_only=True):
    """All templates."""

    items: list[TemplateView]


def _view(template: Template) -> TemplateView:
    return TemplateView(
        template_id=template.template_id,
        name=template.name,
        channel=template.channel,
        content=dict(template.content),
        version=template.version,
        updated_at=template.updated_at,
        is_personal=template.is_personal,
    )


@endpoint("GET", "/templates", scope="templates:read", summary="テンプレートの一覧 / List templates", response=TemplateList)
def list_templates(call: Call[None]) -> TemplateList:
    """List templates."""
    return TemplateList(items=[_view(template) for template in call.world.messages.everyone()])


@endpoint(
    "POST", "/templates", scope="templates:write", request=TemplateBody, response=TemplateView, status=201,
    summary="テンプレートを作る（LINEの上限を確認します） / Make a template, checked against LINE's limits",
)  # fmt: skip
def create_template(call: Call[TemplateBody]) -> TemplateView:
    """Make a template."""
    given = call.body
    made = call.world.messages.create(given.name, DeliveryChannel(given.channel), given.content, given.template_id)
    return _view(made)


@endpoint("GET", "/templates/{template_id}", scope="templates:read", summary="テンプレート / One template", response=TemplateView)
def get_template(call: Call[None]) -> TemplateView:
    """Return a template."""
    return _view(call.world.messages.get(call.path["template_id"]))


@endpoint(
    "PUT", "/templates/{template_id}", scope="templates:write", summary="テンプレートを変更 / Change a template",
    request=TemplateChange, response=TemplateView,
)  # fmt: skip
def change_template(call: Call[TemplateChange]) -> TemplateView:
    """Change a template."""
    return _view(call.world.messages.change(call.path["template_id"], call.body.name, call.body.content))


@endpoint(
    "DELETE", "/templates/{template_id}", scope="templates:write", summary="テンプレートを消す / Delete a template", status=204
)
def delete_template(call: Call[None]) -> None:
    """Delete a template."""
    call.world.messages.delete(call.path["template_id"])
