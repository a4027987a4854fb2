"""A simulator of 100ms: rooms, beams, HLS, webhooks and the management API, by real HTTP."""

from demo.hms.beam import Beam
from demo.hms.management import management_token
from demo.hms.room import Room, Session
from demo.hms.simulator import Simulator, SimulatorOptions
from demo.hms.webhooks import Delivery, EventFault, Webhook

__all__ = [
    "Beam",
    "Delivery",
    "EventFault",
    "Room",
    "Session",
    "Simulator",
    "SimulatorOptions",
    "Webhook",
    "management_token",
]
