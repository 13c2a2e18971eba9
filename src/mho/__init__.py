"""mho: train neural networks on simulated resistive crossbars.

Names are imported when they are first used, so that `mho --help` does not wait for torch. The one list of public
names is `__init__.pyi`, beside this file.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
