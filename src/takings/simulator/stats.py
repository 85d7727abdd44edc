"""What was asked of the simulator: counts by path and status, writes refused, bytes sent, CPU spent."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any, Final

_REQUESTS_KEPT: Final = 20_000
_SINGLE: Final = frozenset(("/v1/account", "/v1/balance", "/v1/balance_settings", "/v1/tax/settings"))


class Stats:
    """What was asked of the simulator since it started or since it was reset."""

    def __init__(self) -> None:
        self.at_once = 0
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.answers: Counter[tuple[str, int]] = Counter()
        self.writes: Counter[str] = Counter()
        self.sent_bytes = 0
        self.most_at_once = self.at_once
        self.requests: deque[tuple[str, str, bytes, int]] = deque(maxlen=_REQUESTS_KEPT)
        self._cpu_from = time.process_time()
        self._from = time.monotonic()

    def begin(self) -> None:
        """Count a request as under way."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)

    def end(self) -> None:
        """Count it as answered."""
        self.at_once -= 1

    def count(self, method: str, shape: str, path: str, query: bytes, status: int, size_bytes: int) -> None:
        """Remember one answer; ``shape`` is the path with ids replaced."""
        self.answers[shape if method == "GET" else f"{method} {shape}", status] += 1
        self.requests.append((method, path, query, status))
        self.sent_bytes += size_bytes

    def show(self) -> dict[str, Any]:
        """Return everything as plain values; requests are counted by path template and status."""
        by_path: dict[str, dict[str, int]] = {}
        for (path, status), times in sorted(self.answers.items()):
            by_path.setdefault(path, {})[str(status)] = times
        return {
            "requests": sum(self.answers.values()),
            "by_path": by_path,
            "by_status": {
                str(status): sum(n for (_, each), n in self.answers.items() if each == status)
                for status in sorted({status for _, status in self.answers})
            },
            "pages": sum(n for (path, status), n in self.answers.items() if status == 200 and _is_list(path)),
            "writes_refused": sum(self.writes.values()),
            "writes": dict(self.writes),
            "sent_bytes": self.sent_bytes,
            "most_at_once": self.most_at_once,
            "busy_cpu_seconds": time.process_time() - self._cpu_from,
            "seconds": time.monotonic() - self._from,
        }


def _is_list(shape: str) -> bool:
    return shape.startswith(("/v1/", "/v2/")) and not shape.endswith("{id}") and shape not in _SINGLE
