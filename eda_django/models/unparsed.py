"""JSON that was read as text, and is parsed when somebody asks for the value.

Parsing takes several times the text's memory, and may kill a worker. What reads many rows at once
would die of one of them and never learn of which.
"""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.db import models

from ..payloads.trees import dumps


class ParsedLate(models.Model):
    """A model of which some JSON fields may be there as text only."""

    # By the names of the fields. What is in neither place is read when it is asked for.
    unparsed: Mapping[str, str] = MappingProxyType({})

    class Meta:
        abstract = True

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Any] | None = None,
    ) -> None:
        """Parse what is there as text. In this way Django asks for a field that is not loaded.

        From the row's own database, and not from where a router sends reads: that may lag behind.
        """
        asked = None if fields is None else set(fields)
        texts, self.unparsed = dict(self.unparsed), {}
        if asked is not None:
            using = using or self._state.db
            for name in asked & texts.keys():
                setattr(self, name, json.loads(texts.pop(name)))
                asked.remove(name)
            self.unparsed = texts
        if asked is None or asked:
            super().refresh_from_db(using, asked, from_queryset)

    def json_of(self, name: str) -> str:
        """Return the JSON of a field without parsing it, if it is there as text."""
        return self.unparsed[name] if name in self.unparsed else dumps(getattr(self, name))
