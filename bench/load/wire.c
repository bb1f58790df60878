/* SPDX-License-Identifier: Apache-2.0 */
/* How do messages leave and arrive? Datagrams in batches of 64; a stream's messages of one turn in one write. */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define STREAM_BUFFER (1 << 20)

struct outgoing {
    int count;
    struct mmsghdr headers[BATCH];
    struct iovec vectors[BATCH];
    struct sockaddr_in to[BATCH];
    char bytes[BATCH][MESSAGE_SIZE];
    char *stream;
    size_t stream_size;
};

static int poller = -1, alarm_fd;
static struct endpoint *dirty;
static struct mmsghdr headers[BATCH];
static struct iovec vectors[BATCH];
static struct sockaddr_in sources[BATCH];
static char received[BATCH][MESSAGE_SIZE + 1];

static void open_poller(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    poller = epoll_create1(0);
    alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, alarm_fd, &event);
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){received[i], MESSAGE_SIZE};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &sources[i], .msg_namelen = sizeof sources[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
}

struct endpoint *endpoint_open(bool is_callee, receiver receive)
{
    if (poller < 0)
        open_poller();
    struct endpoint *e = calloc(1, sizeof *e);
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t length = sizeof own;
    int size = 4 << 20, on = 1;
    e->is_callee = is_callee;
    e->receive = receive;
    e->out = calloc(1, sizeof *e->out);
    e->fd = socket(AF_INET, settings.stream ? SOCK_STREAM : SOCK_DGRAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(e->fd, (struct sockaddr *)&own, sizeof own))
        die("bind");
    if (settings.stream) {
        if (connect(e->fd, (struct sockaddr *)&settings.server, sizeof settings.server))
            die("connect");
        setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        e->out->stream = malloc(STREAM_BUFFER);
        e->in = malloc(STREAM_BUFFER);
    }
    getsockname(e->fd, (struct sockaddr *)&own, &length);
    snprintf(e->address, sizeof e->address, "127.0.0.1:%d", ntohs(own.sin_port));
    fcntl(e->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
    epoll_ctl(poller, EPOLL_CTL_ADD, e->fd, &event);
    return e;
}

static void wait_for_room(struct endpoint *e)
{
    struct pollfd wanted = {.fd = e->fd, .events = POLLOUT};
    poll(&wanted, 1, 1000);
}

static void flush_stream(struct endpoint *e)
{
    struct outgoing *out = e->out;
    size_t written = 0;
    while (written < out->stream_size) {
        ssize_t n = write(e->fd, out->stream + written, out->stream_size - written);
        if (n > 0)
            written += (size_t)n;
        else if (errno == EAGAIN)
            wait_for_room(e);
        else if (errno != EINTR)
            die("the server closed a connection: write");
    }
    out->stream_size = 0;
}

static void flush_datagrams(struct endpoint *e)
{
    struct outgoing *out = e->out;
    for (int sent = 0; sent < out->count;) {
        int n = sendmmsg(e->fd, out->headers + sent, (unsigned)(out->count - sent), 0);
        if (n > 0)
            sent += n;
        else if (errno == EAGAIN || errno == ENOBUFS)
            wait_for_room(e);
        else if (errno == ECONNREFUSED)
            continue;           /* the error of an earlier datagram; this one was not tried */
        else if (errno != EINTR)
            die("sendmmsg");
    }
    out->count = 0;
}

char *wire_room(struct endpoint *e)
{
    if (!settings.stream) {
        if (e->out->count == BATCH)
            flush_datagrams(e);
        return e->out->bytes[e->out->count];
    }
    if (e->out->stream_size + MESSAGE_SIZE > STREAM_BUFFER)
        flush_stream(e);
    return e->out->stream + e->out->stream_size;
}

void wire_commit(struct endpoint *e, const struct sockaddr_in *to, size_t size)
{
    struct outgoing *out = e->out;
    counters.sent++;
    if (settings.stream)
        out->stream_size += size;
    else {
        int i = out->count++;
        out->to[i] = *to;
        out->vectors[i] = (struct iovec){out->bytes[i], size};
        out->headers[i].msg_hdr = (struct msghdr){.msg_name = &out->to[i], .msg_namelen = sizeof out->to[i], .msg_iov = &out->vectors[i], .msg_iovlen = 1};
    }
    if (!e->is_dirty) {
        e->is_dirty = true;
        e->next_dirty = dirty;
        dirty = e;
    }
}

void wire_flush(void)
{
    while (dirty) {
        struct endpoint *e = dirty;
        dirty = e->next_dirty;
        e->is_dirty = false;
        if (settings.stream)
            flush_stream(e);
        else
            flush_datagrams(e);
    }
}

static void receive_datagrams(struct endpoint *e)
{
    for (;;) {
        int n = recvmmsg(e->fd, headers, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            received[i][headers[i].msg_len] = 0;
            counters.received++;
            e->receive(e, &sources[i], received[i], headers[i].msg_len);
            headers[i].msg_hdr.msg_namelen = sizeof sources[i];
        }
        if (n < BATCH)
            return;
    }
}

static size_t body_size(const char *head, const char *end)
{
    for (const char *line = head; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        if (!strncasecmp(line, "Content-Length:", 15))
            return (size_t)atoi(line + 15);
        if (line >= end)
            break;
    }
    return 0;
}

static size_t take_messages(struct endpoint *e)
{
    size_t taken = 0;
    e->in[e->in_size] = 0;
    while (taken < e->in_size) {
        char *start = e->in + taken;
        if (*start == '\r' || *start == '\n') {
            taken++;
            continue;
        }
        char *end = memmem(start, e->in_size - taken, "\r\n\r\n", 4);
        if (!end)
            break;
        size_t size = (size_t)(end + 4 - start) + body_size(start, end);
        if (size > e->in_size - taken)
            break;
        counters.received++;
        e->receive(e, &settings.server, start, size);
        taken += size;
    }
    return taken;
}

static void receive_stream(struct endpoint *e)
{
    ssize_t n = read(e->fd, e->in + e->in_size, STREAM_BUFFER - 1 - e->in_size);
    if (n == 0)
        die("the server closed a connection");
    if (n < 0)
        return;
    e->in_size += (size_t)n;
    size_t taken = take_messages(e);
    memmove(e->in, e->in + taken, e->in_size - taken);
    e->in_size -= taken;
}

void wire_wait(int64_t until_us)
{
    struct epoll_event events[128];
    int64_t left = until_us - now_us();
    int timeout = 0;
    if (left > 0) {
        struct itimerspec at = {.it_value = {until_us / 1000000, until_us % 1000000 * 1000}};
        timerfd_settime(alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
        timeout = -1;
    }
    int n = epoll_wait(poller, events, 128, timeout);
    for (int i = 0; i < n; i++) {
        struct endpoint *e = events[i].data.ptr;
        uint64_t expirations;
        if (e && settings.stream)
            receive_stream(e);
        else if (e)
            receive_datagrams(e);
        else if (read(alarm_fd, &expirations, sizeof expirations) < 0)
            continue;
    }
}
