"""What visitors may send: checked, and said in words when it is wrong."""

from django import forms

from example_project import gateway

from .cart import MOST
from .models import Product


class AddForm(forms.Form):
    sku = forms.ModelChoiceField(Product.objects.all(), to_field_name="sku")
    quantity = forms.IntegerField(min_value=1, max_value=MOST)


class CheckoutForm(forms.Form):
    """Who orders, and with which card; the card becomes a token before anything is stored."""

    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )
    card = forms.CharField(
        max_length=30,
        label="Card number",
        initial=gateway.TEST_CARDS[0][0],
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    checkout_id = forms.UUIDField(widget=forms.HiddenInput)

    def clean_card(self) -> str:
        """Return the card's token. Raises ValidationError for a card the gateway doesn't know."""
        try:
            return gateway.tokenize(self.cleaned_data["card"])
        except gateway.UnknownCard as error:
            raise forms.ValidationError(str(error)) from error
