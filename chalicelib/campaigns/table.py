"""Campaigns in the config table (`CMP` / id); audience rows and page counts in the engine table (`CMP#id#shard`, `CMP#id`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.campaigns.model import Campaign, CampaignState
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import ACTIVE, Row, row_of
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import AccountKey, CampaignId, Cid
from chalicelib.people.model import audience_key, audience_shard
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.settings import settings
from chalicelib.storage import ConfigItem, saved


class CampaignItem(ConfigItem):
    """One campaign."""

    name = UnicodeAttribute()
    channel = UnicodeAttribute()
    template_id = UnicodeAttribute()
    condition = JSONAttribute()
    state = UnicodeAttribute()
    revision = NumberAttribute()
    created_at = UnicodeAttribute()
    account = UnicodeAttribute(default="")
    send_at = UnicodeAttribute(default="")
    window_start = UnicodeAttribute(default="")
    window_end = UnicodeAttribute(default="")
    reason = UnicodeAttribute(default="")


def put(campaign: Campaign) -> bool:
    """Write a campaign whose revision follows the kept one; return False when it does not."""
    item = CampaignItem(
        "CMP",
        campaign.campaign_id,
        name=campaign.name,
        channel=campaign.channel,
        template_id=campaign.template_id,
        condition=dict(campaign.condition),
        state=campaign.state,
        revision=campaign.revision,
        created_at=to_text(campaign.created_at),
        account=campaign.account or "",
        send_at=to_text(campaign.send_at) if campaign.send_at else "",
        window_start=campaign.window_start,
        window_end=campaign.window_end,
        reason=campaign.reason,
    )
    condition = CampaignItem.pk.does_not_exist() if campaign.revision == 1 else CampaignItem.revision == campaign.revision - 1
    return saved(item, condition)


def _model(item: CampaignItem) -> Campaign:
    return Campaign(
        campaign_id=CampaignId(item.sk),
        name=item.name,
        channel=DeliveryChannel(item.channel),
        template_id=item.template_id,
        condition=item.condition,
        state=CampaignState(item.state),
        revision=int(item.revision),
        created_at=from_text(item.created_at),
        account=AccountKey(item.account) if item.account else None,
        send_at=from_text(item.send_at) if item.send_at else None,
        window_start=item.window_start,
        window_end=item.window_end,
        reason=item.reason,
    )


def get(campaign_id: str) -> Campaign | None:
    """Return a campaign."""
    try:
        return _model(CampaignItem.get("CMP", campaign_id, consistent_read=True))
    except CampaignItem.DoesNotExist:
        return None


def page(after: str | None, size: int) -> tuple[list[Campaign], str | None]:
    """Return campaigns, newest first, and where the next page starts."""
    condition = CampaignItem.sk < after if after else None
    items = [_model(item) for item in CampaignItem.query("CMP", condition, scan_index_forward=False, limit=size + 1)]
    return items[:size], items[size - 1].campaign_id if len(items) > size else None


def freeze(database: Database, campaign: Campaign, cids: Sequence[Cid]) -> None:
    """Write people into the audience; who is in it stays as he is."""
    statements = []
    for cid in cids:
        pk, sk = audience_key(campaign.campaign_id, cid)
        item: Item = {
            "pk": pk,
            "sk": sk,
            "cid": int(cid),
            "cohort": campaign.cohort,
            "status": ACTIVE,
            "last": "",
            "claim": "",
            "path": {},
        }
        statements.append(Statement.insert(settings().engine_table, item))
    database.execute(statements)


def rows(database: Database, campaign_id: str, shard: int, after: str, most: int) -> list[tuple[Row, Mapping[str, str]]]:
    """Return a page of the audience: each row, and what was done with it by visit."""
    items = database.query(settings().engine_table, audience_shard(campaign_id, shard), after=after, limit=most)
    return [(row_of(item), item["path"]) for item in items]


def note_page(database: Database, campaign_id: str, name: str, counts: Mapping[str, Any]) -> None:
    """Keep what a page came to; the same when the page runs again."""
    database.put_many(settings().engine_table, [{"pk": f"CMP#{campaign_id}", "sk": name, **counts}])


def notes(database: Database, campaign_id: str, prefix: str) -> list[Item]:
    """Return what pages came to."""
    return database.query(settings().engine_table, f"CMP#{campaign_id}", prefix=prefix)
