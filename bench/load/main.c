/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator: callers and callees of a SIP server in one process with one thread.

   Prints a line when each phase begins: "prepared", "measuring", and "done" with the figures as JSON. With --window N it keeps N calls
   running (saturation), with --rate R it starts R calls a second whatever happens to them (open loop). */

#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct settings settings = {
    .domain = "ringback.test", .password = "secret-pass-1234", .users = 1000, .first_user = 100000, .sources = 1, .window = 64,
    .warm_up = 2, .seconds = 8,
};
char run_name[9];

static const char *scenario_names[] = {"options", "register", "register-digest", "register-challenge", "refused", "call", "call-digest",
                                       "message", "fork", "ringing"};
static int64_t preparing, end_at, next_arrival, turn;
static bool is_preparing;

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void die(const char *what)
{
    perror(what);
    exit(1);
}

static void received(struct endpoint *endpoint, const struct sockaddr_in *from, char *bytes, size_t size)
{
    struct message message;
    if (!scan(&message, bytes, size))
        return;
    if (message.status)
        response_received(endpoint, &message);
    else
        request_received(endpoint, from, &message);
}

/* --- phases ----------------------------------------------------------------------------------------- */

static struct user *next_user(void)
{
    bool is_register = settings.scenario <= REFUSED;
    for (int tries = 0; tries < settings.active; tries++) {
        struct user *user = &users[turn++ % settings.active];
        if (!is_register || user->slot < 0)
            return user;
    }
    return NULL;
}

static void start_one(void)
{
    struct user *user = next_user();
    if (user)
        call_start(settings.scenario, user, false);
}

static void prepare_one(void)
{
    if (preparing < settings.users)
        call_start(REGISTER_CHALLENGE, &users[preparing++], true);
}

static void next_after(struct call *call)
{
    if (call->is_preparation)
        prepare_one();
    else if (settings.rate <= 0 && now_us() < end_at)
        start_one();
}

static double interval_us(void)
{
    double mean = 1e6 / settings.rate;
    return settings.poisson ? -log(1.0 - drand48()) * mean : mean;
}

static void turn_once(void)
{
    static double arrival;
    int64_t now = now_us(), until = now + 10000;
    timers_run(now);
    if (settings.rate > 0 && !is_preparing && now < end_at) {
        if (arrival < (double)next_arrival)
            arrival = (double)next_arrival;
        while (arrival <= (double)now) {
            start_one();
            arrival += interval_us();
        }
        if (arrival < (double)until)
            until = (int64_t)arrival + 1;
    }
    wire_flush();
    wire_wait(until);
    wire_flush();
}

static void prepare(void)
{
    int64_t begun = now_us();
    is_preparing = true;
    for (int i = 0; i < 32; i++)
        prepare_one();
    while (running)
        turn_once();
    is_preparing = false;
    if (registered < settings.users)
        exit(1);
    printf("prepared {\"users\": %d, \"seconds\": %.3f}\n", settings.users, (double)(now_us() - begun) / 1e6);
    fflush(stdout);
}

static void hold(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char line[64];
    while (poll(&input, 1, 0) == 0)
        turn_once();
    if (!fgets(line, sizeof line, stdin))
        exit(0);
}

static void load(double seconds, bool is_drained)
{
    int64_t drained_by;
    next_arrival = now_us();
    end_at = next_arrival + (int64_t)(seconds * 1e6);
    if (settings.rate <= 0)
        while (running < settings.window && running < settings.active)
            start_one();
    while (now_us() < end_at)
        turn_once();
    drained_by = now_us() + 40000000;
    while (is_drained && running && now_us() < drained_by)
        turn_once();
}

static void measure(void)
{
    if (settings.warm_up > 0)
        load(settings.warm_up, false);
    is_measuring = true;
    measure_begin();
    int64_t begun = now_us();
    printf("measuring {}\n");
    fflush(stdout);
    load(settings.seconds, false);
    double seconds = (double)(now_us() - begun) / 1e6;
    load(0, settings.scenario != RINGING);
    for (int64_t by = now_us() + 5000000; settings.scenario == RINGING && counters.completed < counters.started && now_us() < by;)
        turn_once();
    measure_print(seconds);
    if (settings.scenario == RINGING)
        hold(); /* the phones go on ringing */
}

/* --- the command line --------------------------------------------------------------------------------- */

static const struct option options[] = {
    {"scenario", required_argument, 0, 's'}, {"server", required_argument, 0, 'S'},  {"domain", required_argument, 0, 'd'},
    {"password", required_argument, 0, 'p'}, {"tcp", no_argument, 0, 't'},           {"sha256", no_argument, 0, '2'},       {"replaces", no_argument, 0, 'x'},
    {"hold", no_argument, 0, 'h'},           {"poisson", no_argument, 0, 'P'},       {"users", required_argument, 0, 'u'},
    {"first-user", required_argument, 0, 'f'}, {"sources", required_argument, 0, 'n'}, {"window", required_argument, 0, 'w'},
    {"rate", required_argument, 0, 'r'},     {"warm-up", required_argument, 0, 'W'}, {"seconds", required_argument, 0, 'T'},
    {"patience", required_argument, 0, 'a'}, {"talk", required_argument, 0, 'k'},    {"active", required_argument, 0, 'A'}, {0, 0, 0, 0}};

static void read_server(const char *text)
{
    char host[32] = "";
    int port = 0;
    settings.server.sin_family = AF_INET;
    if (sscanf(text, "%31[0-9.]:%d", host, &port) != 2 || inet_pton(AF_INET, host, &settings.server.sin_addr) != 1)
        die("--server takes address:port");
    settings.server.sin_port = htons((uint16_t)port);
    snprintf(settings.server_text, sizeof settings.server_text, "%s", text);
}

static void read_scenario(const char *text)
{
    for (size_t i = 0; i < sizeof scenario_names / sizeof *scenario_names; i++)
        if (!strcmp(text, scenario_names[i])) {
            settings.scenario = (enum scenario)i;
            settings.scenario_name = scenario_names[i];
            return;
        }
    die("--scenario");
}

static void read_option(int letter)
{
    switch (letter) {
    case 's': read_scenario(optarg); break;
    case 'S': read_server(optarg); break;
    case 'd': settings.domain = optarg; break;
    case 'p': settings.password = optarg; break;
    case 't': settings.stream = true; break;
    case '2': settings.sha256 = true; break;
    case 'x': settings.replaces = true; break;
    case 'h': settings.hold = true; break;
    case 'P': settings.poisson = true; break;
    case 'A': settings.active = atoi(optarg); break;
    case 'u': settings.users = atoi(optarg); break;
    case 'f': settings.first_user = atoi(optarg); break;
    case 'n': settings.sources = atoi(optarg); break;
    case 'w': settings.window = atoi(optarg); break;
    case 'r': settings.rate = atof(optarg); break;
    case 'W': settings.warm_up = atof(optarg); break;
    case 'T': settings.seconds = atof(optarg); break;
    case 'a': settings.patience = atof(optarg); break;
    case 'k': settings.talk = atof(optarg); break;
    default: exit(2);
    }
}

static struct endpoint **open_side(bool is_callee)
{
    struct endpoint **side = calloc((size_t)settings.sources, sizeof *side);
    for (int i = 0; i < settings.sources; i++)
        side[i] = endpoint_open(is_callee, received);
    return side;
}

int main(int count, char **words)
{
    for (int letter; (letter = getopt_long(count, words, "", options, NULL)) != -1;)
        read_option(letter);
    if (!settings.scenario_name || !settings.server.sin_port || settings.users < 1 || settings.sources < 1)
        die("--scenario and --server are needed");
    if (settings.active < 1 || settings.active > settings.users)
        settings.active = settings.users;
    srand48(getpid() ^ now_us());
    snprintf(run_name, sizeof run_name, "%08lx", (unsigned long)(lrand48() & 0xffffffff));
    call_ended = next_after;
    users_make(open_side(true), settings.sources);
    calls_make(open_side(false), settings.sources);
    bool needs_users = settings.scenario != OPTIONS && settings.scenario != REFUSED;
    if (needs_users)
        prepare();
    if (settings.hold)
        hold();
    measure();
    return 0;
}
