# SPDX-License-Identifier: Apache-2.0
# What becomes of what one socket has received? Read, judged, opened, sealed and sent in one go, without Python.

cdef int receive_many(RelayFlow* flow, RelayRoom* room, unsigned long long now) noexcept nogil:
    """How many datagrams were read. One is as a rule all there is: asking for more costs 0.5 us where nothing waits."""
    cdef bint is_busy = now - flow.last_read < BUSY_NANOSECONDS
    cdef socklen_t length = sizeof(Address4or6)
    cdef int place, count
    cdef ssize_t size
    flow.last_read = now
    if not is_busy:
        size = recvfrom(flow.incoming, room.octets, LARGEST_DATAGRAM, MSG_DONTWAIT, &room.sources[0].common, &length)
        if size < 0:
            return 0
        room.incoming[0].msg_len = <unsigned int>size
        return 1
    for place in range(MAX_BATCH):
        room.incoming[place].msg_hdr.msg_namelen = sizeof(Address4or6)
    count = recvmmsg(flow.incoming, room.incoming, MAX_BATCH, MSG_DONTWAIT, NULL)
    return count if count > 0 else 0


cdef inline bint open_packet(RelayFlow* flow, unsigned char* data, unsigned int* size) noexcept nogil:
    """False for what is not authentic, or of a source that is new; it is plain otherwise, and shorter."""
    cdef int length = <int>size[0]
    if flow.open_function == NULL or not header_end(data, size[0]):
        return True
    if place_of_source(flow, four_octets(data + 8)) < 0:
        return False
    # AES-GCM has decrypted what it then finds not to be authentic: it is given back as it came, or not at all.
    if size[0] <= LONGEST_KEPT:
        memcpy(data + KEPT_AT, data, size[0])
    if flow.open_function(flow.open_session, data, &length) == 0 and 0 <= length <= <int>size[0]:
        size[0] = <unsigned int>length
        return True
    if size[0] <= LONGEST_KEPT:
        memcpy(data, data + KEPT_AT, size[0])
    else:
        memset(data, 0, size[0])
    return False


cdef inline bint may_send(const RelayFlow* flow) noexcept nogil:
    return flow.has_way and (flow.seal_function == NULL or flow.met <= MOST_SEALED)


cdef inline size_t sealed_size(RelayFlow* flow, unsigned char* data, unsigned int size) noexcept nogil:
    """How long the packet is that goes out; 0 if it could not be sealed."""
    cdef int length = <int>size
    if flow.seal_function == NULL:
        return size
    if size > LARGEST_DATAGRAM or flow.seal_function(flow.seal_session, data, &length) or not 0 < length < RELAY_ROOM:
        flow.errors += 1
        return 0
    return <size_t>length


cdef int judge_datagram(RelayFlow* flow, RelayRoom* room, int place, unsigned long long now, int* strays) noexcept nogil:
    """What becomes of one; a packet that was opened is shorter from now on."""
    cdef unsigned char* data = room.octets + <size_t>place * RELAY_ROOM
    cdef unsigned int* size = &room.incoming[place].msg_len
    cdef int verdict
    if flow.has_source and is_same_address(&room.sources[place], &flow.source):
        if is_for_others(data, size[0]):
            return IS_STRAY
        if open_packet(flow, data, size):
            verdict = judge_packet(flow, data, size[0], now, data + 1)
            if verdict & IS_EVENT:
                if size[0] > LONGEST_EVENT:
                    return verdict & ~IS_EVENT
                memcpy(room.events[place], data, size[0])
                room.event_sizes[place] = size[0]
            return verdict
    strays[0] += 1
    if strays[0] <= flow.strays:
        return IS_STRAY
    flow.refused += 1
    return IS_DROPPED


cdef int judge_all(RelayFlow* flow, RelayRoom* room, int count, unsigned long long now, int* given) noexcept nogil:
    """How many are to be sent; they are laid out. `given` counts those for Python."""
    cdef int place, verdict, waiting = 0, strays = 0
    cdef unsigned char* data
    cdef size_t size
    for place in range(count):
        verdict = judge_datagram(flow, room, place, now, &strays)
        if verdict & IS_PASSED and not may_send(flow):
            verdict |= IS_UNSENT
        room.verdicts[place] = <unsigned char>verdict
        if verdict == IS_STRAY or verdict & (IS_EVENT | IS_UNSENT):
            given[0] += 1
        if verdict & IS_PASSED and not verdict & IS_UNSENT:
            data = room.octets + <size_t>place * RELAY_ROOM
            size = sealed_size(flow, data, room.incoming[place].msg_len)
            if size:
                room.outgoing_parts[waiting].iov_base = data
                room.outgoing_parts[waiting].iov_len = size
                room.plain_sizes[waiting] = room.incoming[place].msg_len
                waiting += 1
    return waiting


cdef void send_many(RelayFlow* flow, mmsghdr* messages, const unsigned int* sizes, int waiting) noexcept nogil:
    """Send what was laid out. What the system does not take now is dropped: late sound is no sound."""
    cdef int done = 0, count, place, refused = -1
    while done < waiting:
        count = sendmmsg(flow.outgoing, messages + done, <unsigned int>(waiting - done), MSG_DONTWAIT)
        if count > 0:
            for place in range(done, done + count):
                flow.sent_octets += sizes[place]
            flow.sent += count
            done += count
        elif count < 0 and (errno == EINTR or (errno == ECONNREFUSED and refused != done)):
            # That error was about an earlier datagram: this one was not sent, and gets another chance.
            refused = done
        else:
            flow.errors += 1
            done += 1


cdef void send_received(RelayFlow* flow, RelayRoom* room, int waiting) noexcept nogil:
    cdef int place
    cdef ssize_t size
    if waiting == 1:
        size = sendto(flow.outgoing, room.outgoing_parts[0].iov_base, room.outgoing_parts[0].iov_len, MSG_DONTWAIT,
                      &flow.destination.common, flow.destination_size)
        if size >= 0:
            flow.sent += 1
            flow.sent_octets += room.plain_sizes[0]
            return
    for place in range(waiting):
        room.outgoing[place].msg_hdr.msg_name = &flow.destination
        room.outgoing[place].msg_hdr.msg_namelen = flow.destination_size
    send_many(flow, room.outgoing, room.plain_sizes, waiting)


cdef int drain_socket(RelayFlow* flow, RelayRoom* room, unsigned long long now, int* given) noexcept nogil:
    """How many datagrams were read; `given` counts those for Python, which are where they were received."""
    cdef int count = receive_many(flow, room, now)
    given[0] = 0
    if count:
        send_received(flow, room, judge_all(flow, room, count, now, given))
    return count
