# SPDX-License-Identifier: Apache-2.0
"""Where are the phones of a user now? The location service: RFC 3261 section 10.3, step 7 and 8, and
section 16.5.

Everything is in memory; each change is also told to the store, in order, so that a restart forgets
nobody. Expiry runs on the monotonic clock: setting the wall clock moves no registration.

What a request costs here does not depend on how many phones there are: nothing is ever looked through but
the bindings of one user and those that expire in this second. After a restart the stored registrations
sleep, as the store wrote them: a user's wake when somebody asks for them, the others a few at a time
(`wake`). So a server with 100 000 of them serves at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from ringback.server.binding import Binding, flow_of, from_record, to_record
from ringback.server.calendar import Calendar
from ringback.server.flow_token import Restore
from ringback.server.storage.bulk import without_collector
from ringback.server.targets import targets_of
from ringback.sip.errors import PeerError

if TYPE_CHECKING:
    from ringback.server.storage import BindingRecord, Store, StoredRow
    from ringback.server.targets import Target

logger = logging.getLogger("ringback.location")

#: Target sets that are kept (0.5 KB each): those of the users that are called most.
TARGET_SETS = 10_000

#: (user, bindings put, keys removed)
Changed = Callable[[str, Sequence[Binding], Sequence[str]], None]


class Watch(Protocol):
    """Told when a contact comes that was not there, and when one goes."""

    def __call__(self, binding: Binding, *, is_here: bool) -> None: ...


class Location:
    """Address of record (a user's number) -> bindings."""

    __slots__ = (
        "_asleep",
        "_by_handle",
        "_by_user",
        "_clocks",
        "_expiring",
        "_restore",
        "_sleepers",
        "_store",
        "_targets",
        "_wall_clock",
        "on_bound",
        "on_changed",
        "watch",
    )

    def __init__(
        self, store: Store, *, wall_clock: Callable[[], float], restore: Restore = lambda flow: flow
    ) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._restore = restore
        #: Told of each binding that a REGISTER made or moved, here or in another process.
        self.on_bound: list[Callable[[Binding], None]] = []
        #: Told of each change of this process: what `apply` of another process takes.
        self.on_changed: list[Changed] = []
        self.watch: Watch | None = None
        #: Nearly all users have one phone: those have no list of their own (60 bytes less for each).
        self._by_user: dict[str, Binding | tuple[Binding, ...]] = {}
        self._by_handle: dict[bytes, Binding] = {}
        self._expiring: Calendar[bytes] = Calendar()  # handles; never later than they expire
        self._targets: dict[str, tuple[float, tuple[Target, ...]]] = {}
        self._asleep: dict[str, list[StoredRow]] = {}
        self._sleepers = 0
        self._clocks = (0.0, 0.0)

    def __len__(self) -> int:
        return len(self._by_handle) + self._sleepers

    def __iter__(self) -> Iterator[Binding]:
        self.wake()
        for bindings in self._by_user.values():
            yield from _listed(bindings)

    # --- asking

    def bindings(self, user: str, *, now: float) -> list[Binding]:
        """The live bindings of a user: best q first, and among equals the newest."""
        if self._asleep:
            self._wake_user(user)
        known = self._by_user.get(user)
        if known is None:
            return []
        if type(known) is Binding:
            return [known] if known.expires_at > now else []
        alive = [binding for binding in _listed(known) if binding.expires_at > now]
        return sorted(alive, key=lambda binding: (-binding.q, -binding.registered_at, binding.key))

    def targets(self, user: str, *, now: float) -> tuple[Target, ...]:
        """The targets of a user if every connection lives, which the caller checks: the same tuple until a
        binding changes or ends (0.2 us instead of 8).
        """
        until, targets = self._targets.get(user, _NO_TARGETS)
        if until > now:
            return targets
        bindings = self.bindings(user, now=now)
        if not bindings:
            return ()
        targets = tuple(targets_of(bindings, _is_alive))
        if len(self._targets) >= TARGET_SETS:
            self._targets.popitem()  # any one: the newest is the cheapest to find
        self._targets[user] = (min(binding.expires_at for binding in bindings), targets)
        return targets

    def find(self, handle: bytes, *, now: float) -> Binding | None:
        """The live binding with this handle. One that sleeps yet has none."""
        binding = self._by_handle.get(handle)
        return binding if binding is not None and binding.expires_at > now else None

    def users(self) -> list[str]:
        """Everybody who has a binding."""
        return [*self._by_user, *(user for user in self._asleep if user not in self._by_user)]

    def records(self, *, now: float) -> list[BindingRecord]:
        """Everything alive, for people to look at."""
        wall_now = self._wall_clock()
        alive = [
            to_record(binding, now=now, wall_now=wall_now) for binding in self if binding.expires_at > now
        ]
        return sorted(alive, key=lambda record: (record.user, record.key))

    # --- changing

    def commit(
        self, user: str, *, put: Sequence[Binding] = (), remove: Sequence[str] = (), now: float
    ) -> None:
        """All changes of one REGISTER at once (10.3 step 7)."""
        self.apply(user, put=put, remove=remove)
        for key in remove:
            self._store.remove_binding(user, key)
        for binding in put:
            self._store_later(binding, now, self._wall_clock())
        for told in self.on_changed:
            told(user, put, remove)

    def renew(  # noqa: PLR0917 - called for nearly every REGISTER, and keywords cost
        self, binding: Binding, seconds: float, call_id: str, cseq: int, now: float, wall_now: float
    ) -> None:
        """The phone of this binding said once more that it is there: it stays for so many seconds."""
        expires_at = now + seconds
        if expires_at < binding.expires_at:
            self._targets.pop(binding.user, None)
        binding.renew(expires_at, call_id, cseq, wall_now)
        if expires_at < binding.due:
            self._enter(binding, binding.due)
        self._store_later(binding, now, wall_now)
        for told in self.on_changed:
            told(binding.user, (binding,), ())

    def apply(self, user: str, *, put: Iterable[Binding] = (), remove: Iterable[str] = ()) -> None:
        """The same in memory only: a change that another process has committed."""
        if self._asleep:
            self._wake_user(user)
        self._targets.pop(user, None)
        for key in remove:
            self._forget(user, key)
        watch = self.watch
        for binding in put:
            if watch is not None and binding.handle not in self._by_handle:
                watch(binding, is_here=True)
            self._remember(binding)
            for tell in self.on_bound:
                tell(binding)

    def forget_user(self, user: str, *, device: str | None = None) -> None:
        """The user is gone, and so are all bindings; or one device, and those made with its password."""
        if self._asleep:
            self._wake_user(user)
        known = _listed(self._by_user.get(user, ()))
        keys = [binding.key for binding in known if device in (None, binding.device)]
        self.apply(user, remove=keys)
        self._store.remove_bindings_of(user, device=device)
        for told in self.on_changed:
            told(user, (), keys)

    def expire(self, *, now: float, limit: int | None = None) -> int:
        """Drop what has expired, and put off what was refreshed meanwhile; at how many it looked, which is
        `limit` when there may be more.
        """
        due = (
            (binding, second)
            for handle, second in self._expiring.due(now)
            if (binding := self._by_handle[handle]).expires_at <= now or second < int(now)
        )
        some = list(islice(due, limit))
        for binding, second in some:
            if binding.expires_at > now:
                self._enter(binding, second)
            else:
                self.apply(binding.user, remove=(binding.key,))
                self._store.remove_binding(binding.user, binding.key)
        return len(some)

    # --- after a restart

    def load(self, *, now: float, at_once: int = 1000) -> int:
        """Take over what the store remembers; how many bindings that are. Beyond `at_once` they sleep: 2.5 us
        each (4.5 with the garbage collector, which finds none), and 20 to wake.
        """
        self._clocks = (now, self._wall_clock())
        with without_collector():
            for row in self._store.rows(now=self._clocks[1]):
                self._asleep.setdefault(row[0], []).append(row)
                self._sleepers += 1
        if self._sleepers <= at_once:
            self.wake()
        return len(self)

    def wake(self, limit: int | None = None) -> bool:
        """Read so many more of the stored registrations, or all; False when none is left."""
        for user in list(islice(self._asleep, limit)):
            self._wake_user(user)
        return bool(self._asleep)

    def _wake_user(self, user: str) -> None:
        for row in self._asleep.pop(user, ()):
            self._sleepers -= 1
            record = self._store.read(row)
            if record is None:
                logger.error("a stored registration of user %s is damaged and left out", user)
                continue
            try:
                self._remember(self._awake(record))
            except (PeerError, ValueError) as error:
                logger.warning("a stored binding of user %s cannot be read: %s", user, error)

    def _awake(self, record: BindingRecord) -> Binding:
        now, wall_now = self._clocks
        flow = flow_of(record)
        restored = None if flow is None else self._restore(flow)
        return from_record(record, now=now, wall_now=wall_now, flow=restored)

    # --- the tables

    def _remember(self, binding: Binding) -> None:
        user, key, handle = binding.user, binding.key, binding.handle
        known = self._by_user.get(user)
        if known is None or (type(known) is Binding and known.key == key):
            self._by_user[user] = binding
        else:
            self._by_user[user] = (*(each for each in _listed(known) if each.key != key), binding)
        old = self._by_handle.get(handle)
        self._by_handle[handle] = binding
        if old is not None and old.due <= binding.expires_at:
            binding.due = old.due  # looked at again then: a refresh moves nothing
            return
        self._enter(binding, None if old is None else old.due)

    def _enter(self, binding: Binding, before: float | None) -> None:
        """Into the calendar, for when it expires; `before` is where it was."""
        if before is not None:
            self._expiring.leave(binding.handle, before)
        binding.due = binding.expires_at
        self._expiring.enter(binding.handle, binding.due)

    def _store_later(self, binding: Binding, now: float, wall_now: float) -> None:
        """Whoever writes makes the record, of the binding as it is then: most are replaced before."""
        record = partial(to_record, binding, now, wall_now)
        self._store.put_binding_later(binding.user, binding.key, record)

    def _forget(self, user: str, key: str) -> None:
        known = _listed(self._by_user.get(user, ()))
        left = tuple(binding for binding in known if binding.key != key)
        for binding in known:
            if binding.key == key:
                del self._by_handle[binding.handle]
                if self.watch is not None:
                    self.watch(binding, is_here=False)
                self._expiring.leave(binding.handle, binding.due)
        if len(left) == 1:
            self._by_user[user] = left[0]
        elif left:
            self._by_user[user] = left
        else:
            self._by_user.pop(user, None)


_NO_TARGETS: tuple[float, tuple[Target, ...]] = (float("-inf"), ())


def _listed(known: Binding | tuple[Binding, ...]) -> tuple[Binding, ...]:
    return (known,) if isinstance(known, Binding) else known


def _is_alive(_: object) -> bool:
    return True
