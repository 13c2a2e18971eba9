"""A device from measured pulses: which law, with which parameters, how sure, and whether it fits at all."""

from mho.fit.fitting import Fit, fit, write

__all__ = ["Fit", "fit", "write"]
