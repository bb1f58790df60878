/* SPDX-License-Identifier: Apache-2.0 */
/* What do calls sound like to a relay? Each call has two peers, and each peer sends a packet every 20 ms.
 *
 *     media CALLS WARM_UP SECONDS FIRST [FILE [FILE]]
 *
 * Prints the ports of its sockets (caller's and callee's of each call), reads where each shall send, and tells what
 * arrived, and how late. A FILE has packets that were made beforehand (SRTP), two octets of length before each: the first
 * one is what callers send, the second what callees do. Packets are told apart by their sequence number, which SRTP leaves
 * readable; FIRST is the number of the first one.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET 172
#define INTERVAL 20000000LL
#define NUMBERS 65536
#define LARGEST 2048
#define STEP 10000LL            /* of the histogram: 10 us */
#define STEPS 20000

struct peer {
    int fd, other;
    struct sockaddr_in to;
    int64_t sent, received, doubled;
    int64_t *times;             /* when each number was sent; negative once it arrived */
};

struct file {
    unsigned char *bytes;
    uint32_t *offsets;
    int count;
};

static struct peer *peers;
static int count, poller;
static bool is_measuring;
static int64_t sent, received, late, strange, steps[STEPS], longest;
static struct file files[2];
static int first;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void read_file(struct file *file, const char *path)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        die(path);
    fseek(in, 0, SEEK_END);
    long size = ftell(in);
    rewind(in);
    file->bytes = malloc((size_t)size);
    file->offsets = malloc((size_t)size * sizeof *file->offsets);
    if (fread(file->bytes, 1, (size_t)size, in) != (size_t)size)
        die(path);
    fclose(in);
    for (long at = 0; at + 2 <= size; at += 2 + file->bytes[at] * 256 + file->bytes[at + 1])
        file->offsets[file->count++] = (uint32_t)at;
}

static void open_peer(struct peer *peer)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof own;
    int room = 1 << 20;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (peer->fd < 0 || bind(peer->fd, (struct sockaddr *)&own, sizeof own))
        die("bind");
    getsockname(peer->fd, (struct sockaddr *)&own, &length);
    printf("%d%c", ntohs(own.sin_port), (peer - peers) % 2 ? '\n' : ' ');
    peer->times = calloc(NUMBERS, sizeof *peer->times);
    if (!peer->times || epoll_ctl(poller, EPOLL_CTL_ADD, peer->fd, &event))
        die("epoll_ctl");
}

static size_t packet_of(struct peer *peer, unsigned char *packet)
{
    const struct file *file = &files[(peer - peers) % 2];
    uint16_t number = (uint16_t)(first + peer->sent);
    if (file->count) {
        if (peer->sent >= file->count) {
            fprintf(stderr, "the file has too few packets\n");
            exit(1);
        }
        const unsigned char *found = file->bytes + file->offsets[peer->sent];
        size_t size = (size_t)found[0] * 256 + found[1];
        memcpy(packet, found + 2, size);
        return size;
    }
    uint32_t words[3] = {htonl(0x80000000u | number), htonl((uint32_t)peer->sent * 160), htonl((uint32_t)(peer - peers) + 1000)};
    memcpy(packet, words, sizeof words);
    memset(packet + 12, 0xd5, PACKET - 12);
    return PACKET;
}

static void send_one(struct peer *peer)
{
    static unsigned char packet[LARGEST];
    size_t size = packet_of(peer, packet);
    int64_t now = now_ns();
    uint16_t number = (uint16_t)(first + peer->sent);
    peer->times[number] = is_measuring ? now : 0;
    peer->sent++;
    sent += is_measuring;
    if (sendto(peer->fd, packet, size, 0, (struct sockaddr *)&peer->to, sizeof peer->to) < 0 && errno != ECONNREFUSED)
        die("sendto");
}

static void receive(struct peer *peer)
{
    static unsigned char packet[LARGEST];
    for (;;) {
        ssize_t size = recv(peer->fd, packet, sizeof packet, 0);
        if (size < 0)
            return;
        if (size < 12 || (packet[1] >= 192 && packet[1] <= 223))
            continue;           /* a report */
        int64_t *time = &peers[peer->other].times[packet[2] * 256 + packet[3]];
        if (*time <= 0) {
            strange += is_measuring && *time < 0;
            continue;
        }
        int64_t delay = now_ns() - *time;
        *time = -1;
        received++;
        late += delay > 2000000;
        steps[delay / STEP < STEPS ? delay / STEP : STEPS - 1]++;
        longest = delay > longest ? delay : longest;
    }
}

/* Peers take turns in an order in which the two of a call, and neighbours, are far apart. */
static void talk(int64_t until)
{
    static int64_t begun, turns;
    struct epoll_event events[256];
    if (!begun)
        begun = now_ns();
    for (int64_t now; (now = now_ns()) < until;) {
        int64_t due;
        while ((due = begun + turns * (INTERVAL / count)) <= now)
            send_one(&peers[(turns++ % count) * 7919 % count]);
        struct timespec wait = {0, due - now};
        int n = epoll_pwait2(poller, events, 256, &wait, NULL);
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr);
    }
}

/* The same without sending, for what is still on its way. */
static void listen_until(int64_t until)
{
    struct epoll_event events[256];
    while (now_ns() < until) {
        int n = epoll_wait(poller, events, 256, 10);
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr);
    }
}

static double quantile(double share)
{
    int64_t wanted = (int64_t)(share * (double)received), seen = 0;
    for (int step = 0; step < STEPS; step++)
        if ((seen += steps[step]) > wanted)
            return (step + 0.5) * STEP / 1e6;
    return (double)longest / 1e6;
}

int main(int arguments, char **words)
{
    if (arguments < 5)
        return 2;
    count = 2 * atoi(words[1]);
    if (count % 7919 == 0)      /* they could not take turns as `talk` has it */
        return 2;
    double warm_up = atof(words[2]), seconds = atof(words[3]);
    first = atoi(words[4]);
    for (int i = 5; i < arguments; i++)
        if (words[i][0])
            read_file(&files[i - 5], words[i]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(0);
    peers = calloc((size_t)count, sizeof *peers);
    for (int i = 0; i < count; i++) {
        peers[i].other = i ^ 1;
        open_peer(&peers[i]);
    }
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        int port;
        if (scanf("%d", &port) != 1)
            return 1;
        peers[i].to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    }
    talk(now_ns() + (int64_t)(warm_up * 1e9));
    is_measuring = true;
    printf("measuring\n");
    fflush(stdout);
    int64_t begun = now_ns();
    talk(begun + (int64_t)(seconds * 1e9));
    double lasted = (double)(now_ns() - begun) / 1e9;
    printf("measured\n");
    fflush(stdout);
    is_measuring = false;
    listen_until(now_ns() + 300000000LL);
    printf("{\"seconds\": %.3f, \"sent\": %lld, \"received\": %lld, \"repeated\": %lld, \"over_2_ms\": %lld, \"p50\": %.3f, \"p99\": %.3f, \"p999\": %.3f, \"max\": %.3f}\n",
           lasted, (long long)sent, (long long)received, (long long)strange, (long long)late, quantile(0.5), quantile(0.99),
           quantile(0.999), (double)longest / 1e6);
    return 0;
}
