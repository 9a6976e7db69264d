"""Does a policy act, or only tell what it would have done?"""

from typing import Literal

Mode = Literal["enforce", "shadow", "off"]
"""It acts; it emits `mesh.events.WouldHave` instead; it is not asked at all."""
