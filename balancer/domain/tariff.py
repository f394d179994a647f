"""What a kWh costs, in money and in CO2."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from balancer.domain.value import Amount, Value

GRAMS_A_TONNE = 1_000_000


class Tariff(Value):
    """What a kWh costs. A `schedule` may say another one for the night, or for a window of the grid's."""

    price_per_kwh: Amount = Field(default=0.0, description="money for a kWh; 0: not known", examples=[0.28])
    currency: str = Field(default="", description="of the price", examples=["EUR"])
    co2_g_per_kwh: Amount = Field(default=0.0, description="grams of CO2 for a kWh; 0: not known", examples=[350])
    co2_price_per_tonne: Amount = Field(
        default=0.0,
        description="what a tonne of CO2 shall count for beside the price, where a schedule says when a kWh costs "
        "what; 0: nothing. The accounts say money and CO2 apart",
        examples=[80],
    )

    @property
    def cost_per_kwh(self) -> float:
        """What a kWh counts for when it is decided who sleeps: its price, and that of its CO2."""
        return self.price_per_kwh + self.co2_g_per_kwh * self.co2_price_per_tonne / GRAMS_A_TONNE

    @property
    def text(self) -> str:
        """What the accounts keep of it: a short text that tells one tariff from others."""
        return f"{self.price_per_kwh:g}|{self.currency}|{self.co2_g_per_kwh:g}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a tariff's text."""
        price, currency, co2 = text.split("|")
        return cls(price_per_kwh=float(price), currency=currency, co2_g_per_kwh=float(co2))
