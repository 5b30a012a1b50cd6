"""An index over nothing but what waits."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Index, Model, Q


class HotIndex(Index):
    """A partial index; on MySQL and MariaDB, which have none, a plain one over `plain_fields`.

    Django's Index(condition=…) is silently not created there, and a queue without an index
    over what waits gets slower with every finished row.
    """

    def __init__(self, *, where: Q, plain_fields: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.where = where
        self.plain_fields = tuple(plain_fields)

    def create_sql(
        self,
        model: type[Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kw: Any,
    ) -> Any:
        if schema_editor.connection.features.supports_partial_indexes:
            real = Index(fields=self.fields, name=self.name, condition=self.where)
        else:
            real = Index(fields=self.plain_fields, name=self.name)
        return real.create_sql(model, schema_editor, using, **kw)

    def deconstruct(self) -> Any:
        path, args, options = super().deconstruct()
        return path, args, {**options, "where": self.where, "plain_fields": self.plain_fields}
