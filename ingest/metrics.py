"""What ingest counts."""

from prometheus_client import Counter, Gauge, Histogram

TELEGRAMS = Counter(
    "fjarrvakt_telegrams",
    "Envelopes by what became of them.",
    ("protocol", "outcome", "reason"),
)
JOURNAL_DEPTH = Gauge(
    "fjarrvakt_journal_envelopes", "Envelopes in the journal, not yet in the database."
)
JOURNAL_BYTES = Gauge("fjarrvakt_journal_bytes", "Size of the journal.")
JOURNAL_OLDEST = Gauge(
    "fjarrvakt_journal_oldest_age_seconds", "Age of the oldest waiting envelope."
)
JOURNAL_FULL = Counter("fjarrvakt_journal_full", "Times nothing could be taken for want of room.")
COMMIT_SECONDS = Histogram("fjarrvakt_commit_seconds", "Time of one batch from decode to commit.")
POLL_SECONDS = Histogram("fjarrvakt_poll_seconds", "Duration of one poll.", ("bus",))
POLL_FAILURES = Counter("fjarrvakt_poll_failures", "Polls that brought no telegram.", ("bus",))
POLL_LAST_SUCCESS = Gauge(
    "fjarrvakt_poll_last_success_timestamp_seconds",
    "When a poll last brought a telegram.",
    ("bus",),
)
