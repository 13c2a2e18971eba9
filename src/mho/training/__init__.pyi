# The one list of public names of `mho.training`: `__init__.py` loads each when it is first used.
from .choice import choose as choose
from .choice import choose_several as choose_several
from .choice import default_hardware as default_hardware
from .comparison import compare as compare
from .comparison import summarise as summarise
from .folder import RunFolder as RunFolder
from .label import differences as differences
from .loop import Interrupted as Interrupted
from .loop import Watch as Watch
from .loop import provenance as provenance
from .loop import stop_signals as stop_signals
from .loop import train as train
from .networks import network as network
from .session import Session as Session
from .spec import RunSpec as RunSpec
