"""How this service tells its failures."""

from hosting.statuses import Statuses

statuses = Statuses("record")
