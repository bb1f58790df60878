# SPDX-License-Identifier: Apache-2.0
# Which paths are ready? The board of `_reference_relay.py`: one epoll for all sockets.

cdef inline bytes _received(RelayRoom* room, int place):
    return PyBytes_FromStringAndSize(<const char*>room.incoming_parts[place].iov_base, room.incoming[place].msg_len)


@cython.final
cdef class RelayBoard:
    """All paths of a loop. A `turn` serves the sockets that are ready; `datagrams` says how many it read."""

    cdef object _poller
    cdef dict _paths
    cdef RelayFlow** _flows
    cdef int _flow_room
    cdef RelayRoom* _room
    cdef bint _is_turning
    cdef int _pulse
    cdef readonly int datagrams

    def __cinit__(self, poller):
        cdef int place
        self._poller = poller
        self._paths = {}
        self._pulse = -1
        self._room = <RelayRoom*>malloc(sizeof(RelayRoom))
        if self._room == NULL:
            raise MemoryError
        # 4 MB of addresses, of which only the pages that were ever written take memory.
        self._room.octets = <unsigned char*>malloc(MAX_BATCH * RELAY_ROOM)
        if self._room.octets == NULL:
            raise MemoryError
        memset(self._room.incoming, 0, sizeof(self._room.incoming))
        memset(self._room.outgoing, 0, sizeof(self._room.outgoing))
        for place in range(MAX_BATCH):
            self._room.incoming_parts[place].iov_base = self._room.octets + <size_t>place * RELAY_ROOM
            self._room.incoming_parts[place].iov_len = LARGEST_DATAGRAM
            self._room.incoming[place].msg_hdr.msg_iov = &self._room.incoming_parts[place]
            self._room.incoming[place].msg_hdr.msg_iovlen = 1
            self._room.incoming[place].msg_hdr.msg_name = &self._room.sources[place]
            self._room.outgoing[place].msg_hdr.msg_iov = &self._room.outgoing_parts[place]
            self._room.outgoing[place].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        if self._room != NULL:
            free(self._room.octets)
        free(self._room)
        free(self._flows)
        if self._pulse >= 0:
            close(self._pulse)

    def __len__(self):
        return len(self._paths)

    def watch(self, incoming, RelayPath path not None):
        """Let the path have what comes to a socket. ValueError when either is watched already."""
        cdef int fd = incoming.fileno()
        self._be_still()
        if fd in self._paths or path.flow.incoming >= 0:
            raise ValueError("watched already")
        if fd >= 0:
            self._make_place(fd)
        self._poller.register(fd, 1)
        path.flow.incoming = fd
        path._incoming = incoming
        self._paths[fd] = path
        self._flows[fd] = &path.flow

    def forget(self, RelayPath path not None):
        """No more; to be called before the socket is closed."""
        cdef int fd = path.flow.incoming
        self._be_still()
        if fd >= 0 and self._paths.get(fd) is path:
            self._flows[fd] = NULL
            path.flow.incoming = -1
            path._incoming = None
            del self._paths[fd]
            self._poller.unregister(fd)

    def pulse(self, long long period):
        """A descriptor that can be read each `period` nanoseconds from now on, until the next turn; 0: never.

        -1 where there is no such thing. It belongs to the board.
        """
        cdef itimerspec wanted
        if self._pulse < 0:
            self._pulse = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        wanted.it_interval.tv_sec = wanted.it_value.tv_sec = max(0, period) // NANOSECONDS
        wanted.it_interval.tv_nsec = wanted.it_value.tv_nsec = max(0, period) % NANOSECONDS
        if self._pulse >= 0 and timerfd_settime(self._pulse, 0, &wanted, NULL):
            PyErr_SetFromErrno(OSError)
        return self._pulse

    def turn(self, unsigned long long now):
        """Serve who is ready, and give back what is not for the relay."""
        cdef list given = []
        cdef int poller = self._poller.fileno()
        self._be_still()
        self._is_turning = True
        try:
            self._serve(poller, now, given)
        finally:
            self._is_turning = False
        return given

    cdef int _serve(self, int poller, unsigned long long now, list given) except -1:
        cdef RelayFlow* flow
        cdef int count, place, fd, found, for_python, datagrams = 0
        cdef unsigned long long pulses
        with nogil:
            if self._pulse >= 0:
                read(self._pulse, &pulses, sizeof(pulses))
            count = epoll_wait(poller, self._room.ready, RELAY_AT_ONCE, 0)
            for place in range(count):
                fd = self._room.ready[place].data.fd
                flow = self._flows[fd] if 0 <= fd < self._flow_room else NULL
                if flow == NULL:
                    continue
                found = drain_socket(flow, self._room, now, &for_python)
                datagrams += found
                if for_python:
                    with gil:
                        self._give(self._paths[fd], found, given)
        self.datagrams = datagrams
        return 0

    cdef int _give(self, RelayPath path, int count, list given) except -1:
        """Make objects of what is not dealt with. Nobody fills the room meanwhile: a turn within a turn is refused."""
        cdef RelayRoom* room = self._room
        cdef int place, verdict
        for place in range(count):
            verdict = room.verdicts[place]
            if verdict & IS_DROPPED:
                continue
            if verdict == IS_STRAY:
                given.append((path, STRAY, _received(room, place), remote_of(&room.sources[place])))
                continue
            if verdict & IS_UNSENT:
                given.append((path, UNSENT, _received(room, place), None))
            if verdict & IS_EVENT:
                event = PyBytes_FromStringAndSize(<const char*>room.events[place], room.event_sizes[place])
                given.append((path, EVENT, event, None))
        return 0

    cdef int _make_place(self, int fd) except -1:
        cdef int room = max(64, self._flow_room), place
        cdef RelayFlow** flows
        if fd < self._flow_room:
            return 0
        while room <= fd:
            room *= 2
        flows = <RelayFlow**>realloc(self._flows, <size_t>room * sizeof(RelayFlow*))
        if flows == NULL:
            raise MemoryError
        for place in range(self._flow_room, room):
            flows[place] = NULL
        self._flows = flows
        self._flow_room = room
        return 0

    cdef int _be_still(self) except -1:
        # A finalizer may run while objects are made, and another thread while the sockets are read.
        if self._is_turning:
            raise RuntimeError("the board is in the middle of a turn")
        return 0
