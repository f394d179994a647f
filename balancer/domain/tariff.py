"""What a kWh costs, in money and in CO2."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from balancer.domain.value import Amount, Value


class Tariff(Value):
    """What a kWh costs. A `schedule` may say another one for the night, or for a window of the grid's."""

    price_per_kwh: Amount = Field(default=0.0, description="money for a kWh; 0: not known", examples=[0.28])
    currency: str = Field(default="", description="of the price", examples=["EUR"])
    co2_g_per_kwh: Amount = Field(default=0.0, description="grams of CO2 for a kWh; 0: not known", examples=[350])

    @property
    def text(self) -> str:
        """The tariff as a short text that tells it from others."""
        return f"{self.price_per_kwh:g}|{self.currency}|{self.co2_g_per_kwh:g}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a tariff's text."""
        price, currency, co2 = text.split("|")
        return cls(price_per_kwh=float(price), currency=currency, co2_g_per_kwh=float(co2))
