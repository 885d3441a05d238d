"""The doors: what comes in over HTTP, queues, schedules and state machines; parsing and answering, no decisions."""
