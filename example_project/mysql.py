"""Lets Django use PyMySQL where mysqlclient, which needs a compiler, is not installed."""

from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "::1")


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


def driver_options(host: str) -> dict[str, Any]:
    """Return what the driver in use wants to be told besides Django's own options.

    PyMySQL reads all the system's certificates for each connection, which takes longer than a
    page; nothing is to be encrypted on the way to the same machine.
    """
    use_pymysql()
    import MySQLdb

    is_pymysql = MySQLdb.__name__ == "pymysql"
    return {"ssl_disabled": True} if is_pymysql and host in LOOPBACK else {}
