"""Templates in the config table: `TPL` / id."""

from __future__ import annotations

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import TemplateId
from chalicelib.messages.model import Template
from chalicelib.storage import ConfigItem, saved


class TemplateItem(ConfigItem):
    """One template."""

    name = UnicodeAttribute()
    channel = UnicodeAttribute()
    content = JSONAttribute()
    version = NumberAttribute()
    updated_at = UnicodeAttribute()


def put(template: Template) -> bool:
    """Write a template; return False when somebody else has written that version."""
    item = TemplateItem(
        "TPL",
        template.template_id,
        name=template.name,
        channel=template.channel,
        content=dict(template.content),
        version=template.version,
        updated_at=to_text(template.updated_at),
    )
    condition = TemplateItem.pk.does_not_exist() if template.version == 1 else TemplateItem.version == template.version - 1
    return saved(item, condition)


def _model(item: TemplateItem) -> Template:
    return Template(
        TemplateId(item.sk),
        item.name,
        DeliveryChannel(item.channel),
        item.content,
        int(item.version),
        from_text(item.updated_at),
    )


def get(template_id: str) -> Template | None:
    """Return a template."""
    try:
        return _model(TemplateItem.get("TPL", template_id, consistent_read=True))
    except TemplateItem.DoesNotExist:
        return None


def everyone() -> list[Template]:
    """Return all templates, oldest first."""
    return [_model(item) for item in TemplateItem.query("TPL")]


def delete(template_id: str) -> None:
    """Remove a template."""
    TemplateItem("TPL", template_id).delete()
