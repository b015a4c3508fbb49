"""One event that several tests make in a user's calendar: the call, and the provider's answer."""

from __future__ import annotations

CREATE = "googlecalendar_create_event"
EVENTS = "/calendar/v3/calendars/primary/events"
LUNCH = {
    "summary": "Lunch",
    "start_datetime": "2026-11-24T12:00:00Z",
    "end_datetime": "2026-11-24T13:00:00Z",
}
MADE = {
    "id": "abcde",
    "status": "confirmed",
    "summary": "Lunch",
    "start": {"dateTime": "2026-11-24T12:00:00Z"},
    "end": {"dateTime": "2026-11-24T13:00:00Z"},
}
