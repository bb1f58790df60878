# SPDX-License-Identifier: Apache-2.0
# How does RTP get from one socket to another without being decoded? The path that Python sees; the twin of
# `_reference_relay.py`, which says how. `_relay_board.pxi` serves all paths.

cdef Address4or6 _address_or_raise(object remote) except *:
    cdef Address4or6 address
    if not _read_address(remote, &address):
        raise ValueError("not a numeric address and a port")
    return address


cdef unsigned char _checked_type(object number) except? 255:
    if not 0 <= number < 128:
        raise ValueError("not a payload type")
    return number


@cython.final
cdef class RelayPath:
    """One way: what one socket receives from one source goes out of another socket.

    A packet of 172 octets from socket to socket over loopback, 16 sockets ready at once: 3.8 us, as much as the
    two system calls alone. Opening or sealing SRTP takes another 0.65 (AES-CM with SHA1) or 0.4 (AES-GCM).
    """

    cdef RelayFlow flow
    cdef object _incoming
    cdef object _outgoing
    cdef object _opener
    cdef object _sealer
    cdef object __weakref__

    def __cinit__(self):
        cdef int number
        memset(&self.flow, 0, sizeof(RelayFlow))
        memset(self.flow.types, NO_TYPE, 128)
        for number in range(128):
            self.flow.rates[number] = 8000
        self.flow.incoming = self.flow.outgoing = self.flow.heard = -1
        self.flow.strays = MAX_BATCH

    def route(self, outgoing, destination):
        """Where packets go; without a way out they are given back. ValueError: no numeric address."""
        cdef Address4or6 address
        cdef int fd
        if outgoing is None or destination is None:
            self.flow.has_way = False
            self.flow.outgoing = -1
            self._outgoing = None
            return
        address = _address_or_raise(destination)
        fd = outgoing.fileno()
        self.flow.destination = address
        self.flow.destination_size = sizeof(sockaddr_in) if address.common.sa_family == AF_INET else sizeof(sockaddr_in6)
        self.flow.outgoing = fd
        self._outgoing = outgoing
        self.flow.has_way = True

    def expect(self, source, int strays=MAX_BATCH):
        """Whose packets are passed on, and how many of others are given back in a turn, not refused."""
        self.flow.has_source = False
        if source is not None:
            self.flow.source = _address_or_raise(source)
            self.flow.has_source = True
        self.flow.strays = max(0, min(strays, MAX_BATCH))

    def secure(self, opener, sealer):
        """What comes to the socket is SRTP, and opened; what leaves by the way out is sealed.

        Packets of sources (SSRCs) that were not heard yet are given back, as strangers' are.
        """
        cdef size_t open_function = 0, open_session = 0, seal_function = 0, seal_session = 0
        if opener is not None:
            open_function, open_session = opener.function, opener.session
        if sealer is not None:
            seal_function, seal_session = sealer.function, sealer.session
        if (opener is not None and not (open_function and open_session)) or \
                (sealer is not None and not (seal_function and seal_session)):
            raise ValueError("a cipher without an address")
        self.flow.open_function = <srtp_function>open_function
        self.flow.open_session = <void*>open_session
        self.flow.seal_function = <srtp_function>seal_function
        self.flow.seal_session = <void*>seal_session
        # They keep the sessions.
        self._opener, self._sealer = opener, sealer

    def translate(self, types, rates, events=()):
        """Payload types as they come -> as they go on, their clock rates, and which are telephone events.

        ValueError for what is no payload type (0 to 127) or no rate (1 to a million).
        """
        cdef unsigned char wanted[128]
        cdef unsigned char is_event[128]
        cdef unsigned int hertz[128]
        cdef int number
        memset(wanted, NO_TYPE, 128)
        memset(is_event, 0, 128)
        for number in range(128):
            hertz[number] = 8000
        for one, other in types.items():
            wanted[_checked_type(one)] = _checked_type(other)
        for one, rate in rates.items():
            if not 1 <= rate <= HIGHEST_RATE:
                raise ValueError("not a clock rate")
            hertz[_checked_type(one)] = rate
        for one in events:
            is_event[_checked_type(one)] = 1
        memcpy(self.flow.types, wanted, sizeof(wanted))
        memcpy(self.flow.is_event, is_event, sizeof(is_event))
        memcpy(self.flow.rates, hertz, sizeof(hertz))

    def pass_on(self, packets, unsigned long long now):
        """Pass on plain packets that are believed already: (those that cannot be sent here, events).

        They cannot be sent without a way out, or where they must be sealed.
        """
        cdef list wanted = list(packets), unsent = [], events = []
        cdef bint has_way = self.flow.has_way and self.flow.seal_function == NULL
        cdef mmsghdr messages[MAX_BATCH]
        cdef iovec parts[MAX_BATCH][2]
        cdef unsigned char heads[MAX_BATCH][2]
        cdef unsigned int sizes[MAX_BATCH]
        cdef int verdict, waiting = 0
        cdef unsigned char* data
        cdef Py_ssize_t size
        for packet in wanted:
            data = <unsigned char*>PyBytes_AS_STRING(<bytes?>packet)
            size = PyBytes_GET_SIZE(packet)
            verdict = judge_packet(&self.flow, data, size, now, &heads[waiting][1])
            if not verdict & IS_PASSED:
                continue
            heads[waiting][0] = data[0]
            if verdict & IS_EVENT or not has_way:
                passed = packet if heads[waiting][1] == data[1] else _with_second(data, size, heads[waiting][1])
                if verdict & IS_EVENT and size <= LONGEST_EVENT:
                    events.append(passed)
                if not has_way:
                    unsent.append(passed)
                    continue
            _lay_out(&self.flow, &messages[waiting], parts[waiting], heads[waiting], data, size)
            sizes[waiting] = <unsigned int>size
            waiting += 1
            if waiting == MAX_BATCH:
                send_many(&self.flow, messages, sizes, waiting)
                waiting = 0
        send_many(&self.flow, messages, sizes, waiting)
        return unsent, events

    @property
    def limit(self):
        return self.flow.limit

    @limit.setter
    def limit(self, long long limit):
        self.flow.limit = limit

    @property
    def packets(self):
        return self.flow.packets

    @property
    def octets(self):
        return self.flow.octets

    @property
    def sent(self):
        return self.flow.sent

    @property
    def sent_octets(self):
        return self.flow.sent_octets

    @property
    def refused(self):
        return self.flow.refused

    @property
    def malformed(self):
        return self.flow.malformed

    @property
    def unmapped(self):
        return self.flow.unmapped

    @property
    def excess(self):
        return self.flow.excess

    @property
    def errors(self):
        return self.flow.errors

    @property
    def last_at(self):
        return self.flow.last_at

    @property
    def lost(self):
        """Packets that never came, of all sources."""
        cdef long long lost = self.flow.lost_before
        cdef int place
        for place in range(self.flow.source_count):
            lost += lost_of(&self.flow.sources[place])
        return lost

    @property
    def ssrc(self):
        """The source that was heard last."""
        return self.flow.sources[self.flow.heard].ssrc if self.flow.heard >= 0 else None

    @property
    def jitter(self):
        """Its jitter in seconds."""
        cdef RelaySource* source = &self.flow.sources[max(0, self.flow.heard)]
        if self.flow.heard < 0 or not source.rate:
            return 0.0
        return <double>(source.jitter >> 4) / <double>source.rate


cdef bytes _with_second(Octets data, Py_ssize_t size, unsigned char second):
    cdef bytes copied = PyBytes_FromStringAndSize(<const char*>data, size)
    (<unsigned char*>PyBytes_AS_STRING(copied))[1] = second
    return copied


cdef void _lay_out(RelayFlow* flow, mmsghdr* message, iovec* parts, unsigned char* head, unsigned char* data,
                   Py_ssize_t size) noexcept:
    """A message of two parts, so that an object that nobody may change needs no copy: two octets, and the rest."""
    memset(message, 0, sizeof(mmsghdr))
    parts[0].iov_base = head
    parts[0].iov_len = 2
    parts[1].iov_base = data + 2
    parts[1].iov_len = size - 2
    message.msg_hdr.msg_iov = parts
    message.msg_hdr.msg_iovlen = 2
    message.msg_hdr.msg_name = &flow.destination
    message.msg_hdr.msg_namelen = flow.destination_size
