"""Lets Django use PyMySQL where mysqlclient, which needs a compiler, is not installed."""


def use_pymysql() -> None:
    """Stand PyMySQL in for MySQLdb, if that is missing; do nothing if both are."""
    try:
        import MySQLdb  # noqa: F401
    except ImportError:
        try:
            import pymysql
        except ImportError:
            return
        # Django asks for this version of mysqlclient; PyMySQL reports an older one for it.
        pymysql.version_info = (2, 2, 8, "final", 0)
        pymysql.install_as_MySQLdb()
