"""What payments does when stock is reserved."""

from eda_django import Event, Retry, subscribes
from example_project.events import StockReserved

from . import services


# Three attempts within seconds, so that the demo can show a dead letter. A shop that earns money
# would keep the default, which outlasts a gateway's bad day.
@subscribes(StockReserved, queue="payments", retry=Retry(max_attempts=3, base=1.0))
def charge_card(event: Event[StockReserved]) -> None:
    services.charge(
        event.data.order,
        card_token=event.data.card_token,
        request_id=event.id,
        attempt=event.attempt,
    )
