from .initializer import AvailableCaseStart as AvailableCaseStart
from .initializer import CompleteCaseStart as CompleteCaseStart
from .initializer import GivenStart as GivenStart
from .initializer import Initializer as Initializer
from .initializer import NearUniformStart as NearUniformStart
from .initializer import RandomStart as RandomStart
from .initializer import StartContext as StartContext
