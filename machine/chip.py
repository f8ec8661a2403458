"""What every chip of the machine has in common: reset, and a named state to save and load."""
import copy
from typing import Any, ClassVar


class Chip:
    """A device whose whole state is the attributes named in `STATE`.

    An attribute that is a chip itself, a part of this one, is saved and loaded as such.
    `reset()` puts the power-on state there; `restored()` is called after `load()` for what
    follows from the state, such as timers to arm and lines to drive.
    """

    VERSION: ClassVar[int] = 1
    STATE: ClassVar[tuple[str, ...]] = ()

    def reset(self) -> None:
        """Enter the power-on state."""

    def restored(self) -> None:
        """Derive what is not state: arm timers, drive lines."""

    def save(self) -> dict[str, Any]:
        """The state as a plain dict, with the version of its layout."""
        state: dict[str, Any] = {"version": self.VERSION}
        for name in self.STATE:
            value = getattr(self, name)
            state[name] = value.save() if isinstance(value, Chip) else copy.deepcopy(value)
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `save()` returned. Raises ValueError on another version."""
        if state["version"] != self.VERSION:
            raise ValueError(
                f"{type(self).__name__}: state version {state['version']}, need {self.VERSION}")
        for name in self.STATE:
            value = getattr(self, name)
            if isinstance(value, Chip):
                value.load(state[name])
            else:
                setattr(self, name, copy.deepcopy(state[name]))
        self.restored()
