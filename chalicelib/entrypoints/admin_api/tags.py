"""Tags."""

from __future__ import annotations

from datetime import datetime

from chalicelib.entrypoints.admin_api.customers import cid_in
from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.reactions import react
from chalicelib.tags.model import Tag


class TagBody(Body, kw_only=True):
    """A new tag."""

    name: Name
    folder: Name = ""


class TagView(View, kw_only=True):
    """A tag."""

    tag_id: str
    name: str
    folder: str
    created_at: datetime


class TagList(View, kw_only=True):
    """All tags."""

    items: list[TagView]


def _view(tag: Tag) -> TagView:
    return TagView(tag_id=tag.tag_id, name=tag.name, folder=tag.folder, created_at=tag.created_at)


@endpoint("GET", "/tags", scope="tags:read", summary="タグの一覧 / List tags", response=TagList)
def list_tags(call: Call[None]) -> TagList:
    """List tags."""
    return TagList(items=[_view(tag) for tag in call.world.tags.everyone()])


@endpoint("POST", "/tags", scope="tags:write", summary="タグを作る / Make a tag", request=TagBody, response=TagView, status=201)
def create_tag(call: Call[TagBody]) -> TagView:
    """Make a tag."""
    return _view(call.world.tags.create(call.body.name, call.body.folder))


@endpoint("DELETE", "/tags/{tag_id}", scope="tags:write", summary="タグを消す / Delete a tag", status=204)
def delete_tag(call: Call[None]) -> None:
    """Delete a tag."""
    call.world.tags.delete(call.path["tag_id"])


@endpoint("PUT", "/customers/{customer_id}/tags/{tag_id}", scope="tags:write", summary="タグを付ける / Tag a person", status=204)
def tag_customer(call: Call[None]) -> None:
    """Put a tag on a person."""
    facts = call.world.tags.add(cid_in(call), call.path["tag_id"], f"api:{call.principal.key_id}")
    react(facts, call.world)


@endpoint("DELETE", "/customers/{customer_id}/tags/{tag_id}", scope="tags:write", summary="タグを外す / Untag a person", status=204)
def untag_customer(call: Call[None]) -> None:
    """Take a tag off a person."""
    facts = call.world.tags.remove(cid_in(call), call.path["tag_id"], f"api:{call.principal.key_id}")
    react(facts, call.world)
