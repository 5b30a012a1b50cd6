"""Ten days of a busy site, written by the database itself: what the console's pages stand on."""

from django.db import connection

from benchmarks import filling

DAYS = 10
TYPES = 20
SUBSCRIBERS = 10
# Events of one correlation id, each the cause of the next; they share a key.
CHAIN = 4
# One of so many, at places that do not coincide.
DEAD, RETRYING, DISCARDED, ASIDE, IDEMPOTENT = 400, 1_000, 1_000, 5_000, 10
# The newest are not fanned out yet, those before them are due, and those before them in Redis.
FRESH, DUE, QUEUED = 5_000, 1_000, 500
TRACEBACK = "Traceback (most recent call last):\n" + "".join(
    f'  File "/srv/shop/orders/step_{n}.py", line {n}, in step_{n}\n    return step(order, {n})\n'
    for n in range(20)
)
_SECONDS_AGO = {
    "postgresql": "NOW() - ({}) * INTERVAL '1 second'",
    "mysql": "UTC_TIMESTAMP(6) - INTERVAL ({}) SECOND",
    "sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f000', 'now', PRINTF('%+f seconds', -({})))",
}
# Of a number alone, so that the next event can name its cause. Later ones are greater.
_UUID = {
    "postgresql": "(LPAD(TO_HEX({}), 12, '0') || '70008000000000000000')::uuid",
    "mysql": "CONCAT(LPAD(HEX({}), 12, '0'), '70008000000000000000')",
    "sqlite": "PRINTF('%012x', {}) || '70008000000000000000'",
}
_TEXT = {"postgresql": "({})::text", "mysql": "CAST({} AS CHAR)", "sqlite": "CAST({} AS TEXT)"}


def write(count: int) -> None:
    """Fill empty tables with `count` events, about twice as many deliveries, and their attempts."""
    _events(count)
    _deliveries(count)
    _attempts()
    _relays()
    filling.settle(count)


def subscriptions() -> dict[str, list[int]]:
    """Return the subscribers, and the numbers of the types that each gets."""
    found: dict[str, list[int]] = {}
    for number in range(TYPES):
        for place in range(2):
            name = f"bench.subscriber_{(number * 2 + place) % SUBSCRIBERS}"
            found.setdefault(name, []).append(number)
    return found


def _events(count: int) -> None:
    ago = f"{DAYS * 86_400 / count:.6f} * ({count} - n)"
    first = f"n - n % {CHAIN}"
    fresh = f"n >= {count - count // FRESH}"
    aside = f"n % {ASIDE} = 7"
    payload = filling.literal()
    kind = f"CASE WHEN {aside} THEN 'bench.not_known' ELSE {_joined('bench.type_', f'n % {TYPES}')}"
    filling.execute(
        "INSERT INTO eda_django_outboxevent (event_id, type, version, source,"
        f" {connection.ops.quote_name('key')}, data, headers, correlation_id, causation_id,"
        " idempotency_key, time, available_at, relayed_at, error) "
        f"SELECT {_uuid('n')}, {kind} END, 1, 'bench', {_joined('order-', first)}, {payload},"
        f" '{{}}', {_joined('chain-', first)},"
        f" CASE WHEN n % {CHAIN} > 0 THEN {_uuid('n - 1')} END,"
        f" CASE WHEN n % {IDEMPOTENT} = 0 THEN {_joined('once-', 'n')} END,"
        f" {_seconds_ago(ago)}, CASE WHEN {aside} THEN {_seconds_ago('-600')} END,"
        f" CASE WHEN NOT ({fresh} OR {aside}) THEN {_seconds_ago(ago)} END,"
        f" CASE WHEN {aside} THEN 'No running code knows it.' ELSE '' END "
        f"FROM ({filling.NUMBERS}) m WHERE n < {count} ORDER BY n"
    )


def _deliveries(count: int) -> None:
    """Give each relayed event a delivery to two subscribers, in the state that its number says."""
    due = count - count // FRESH - count // DUE
    queued = due - count // QUEUED
    status = (
        f"CASE WHEN n >= {due} THEN 'pending' WHEN n >= {queued} AND n % 50 = 1 THEN 'running'"
        f" WHEN n >= {queued} THEN 'queued' WHEN k = 0 AND n % {DEAD} = 3 THEN 'dead'"
        f" WHEN k = 1 AND n % {RETRYING} = 5 THEN 'pending'"
        f" WHEN k = 1 AND n % {DISCARDED} = 9 THEN 'discarded' ELSE 'succeeded' END"
    )
    failed = "status = 'dead' OR (status = 'pending' AND n % 1000 = 5)"
    claimed = "status IN ('queued', 'running')"
    subscriber = _joined("bench.subscriber_", f"(n * 2 + k) % {SUBSCRIBERS}")
    ago = f"{DAYS * 86_400 / count:.6f} * ({count} - n)"
    filling.execute(
        "INSERT INTO eda_django_delivery (event_id, subscriber, queue,"
        f" {connection.ops.quote_name('key')}, status, attempts, isolated, due_at, lease_until,"
        " token, started_at, finished_at, error_class, error_text, fingerprint) "
        f"SELECT id, {subscriber}, 'default', owner, status, CASE WHEN {failed} THEN 3"
        f" WHEN status = 'pending' OR status = 'queued' THEN 0 ELSE 1 END, {filling.false()},"
        f" CASE WHEN status = 'pending' THEN {_seconds_ago('-60')} END,"
        f" CASE WHEN {claimed} THEN {_seconds_ago('-60')} END,"
        f" CASE WHEN {claimed} THEN event_id END,"
        f" CASE WHEN attempts_began THEN {_seconds_ago(f'{ago} - 1')} END,"
        f" CASE WHEN has_ended THEN {_seconds_ago(f'{ago} - 2')} END,"
        f" CASE WHEN {failed} THEN 'shop.errors.GatewayError' ELSE '' END,"
        f" CASE WHEN {failed} THEN 'The gateway did not answer.' ELSE '' END,"
        f" CASE WHEN {failed} THEN {_joined('cause-', 'n % 11')} ELSE '' END "
        f"FROM (SELECT s.*, status IN ('succeeded', 'discarded', 'dead') AS has_ended,"
        f" status NOT IN ('queued') AND NOT (status = 'pending' AND n % {RETRYING} <> 5)"
        f" AS attempts_began FROM (SELECT r.*, {status} AS status FROM"
        f" (SELECT e.id, e.event_id, e.{connection.ops.quote_name('key')} AS owner, e.id - f.first"
        " AS n, d.k FROM eda_django_outboxevent e"
        " CROSS JOIN (SELECT MIN(id) AS first FROM eda_django_outboxevent) f"
        " CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1) d WHERE e.relayed_at IS NOT NULL) r) s) t"
        " ORDER BY id, k"
    )


def _attempts() -> None:
    filling.execute(
        "INSERT INTO eda_django_attempt (delivery_id, number, worker, started_at, finished_at,"
        " error_class, error_text, traceback) "
        "SELECT d.id, a.number, 'host-a:17', d.started_at, d.started_at, d.error_class,"
        f" d.error_text, '{TRACEBACK}' FROM eda_django_delivery d"
        " CROSS JOIN (SELECT 1 AS number UNION ALL SELECT 2 UNION ALL SELECT 3) a"
        " WHERE d.status IN ('dead', 'pending') AND d.attempts > 0 ORDER BY d.id, a.number"
    )


def _relays() -> None:
    filling.execute("DELETE FROM eda_django_relayheartbeat")
    for number in range(2):
        filling.execute(
            "INSERT INTO eda_django_relayheartbeat (name, hostname, pid, version, started_at,"
            f" beat_at) VALUES ('relay-{number}', 'host-a', {number}, '1', {_seconds_ago('3600')},"
            f" {_seconds_ago('1')})"
        )


def _seconds_ago(seconds: str) -> str:
    return _SECONDS_AGO[connection.vendor].format(seconds)


def _uuid(number: str) -> str:
    return _UUID[connection.vendor].format(number)


def _joined(head: str, number: str) -> str:
    text = _TEXT[connection.vendor].format(number)
    return f"CONCAT('{head}', {text})" if connection.vendor == "mysql" else f"'{head}' || {text}"
