"""Imported first: the settings of a deployment that is nowhere, for what needs none but imports those who do."""

from __future__ import annotations

import os
from dataclasses import fields

from chalicelib.settings import Settings

for _field in fields(Settings):
    if _field.default is _field.default_factory:
        os.environ.setdefault(_field.name.upper(), "https://nowhere.test" if _field.name == "public_url" else "nowhere")
