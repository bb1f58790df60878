/* SPDX-License-Identifier: Apache-2.0 */
/* How does a caller's transaction go on? Retransmissions as in RFC 3261 section 17.1 (T1 500 ms, T2 4 s, 32 s at most). */

#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T1 500000
#define T2 4000000
#define TIMEOUT (64 * (int64_t)T1)
#define SLOTS 400000

int64_t running, registered;
bool is_measuring;
void (*call_ended)(struct call *);

static struct call *slots;
static int32_t *unused, unused_count;
static struct endpoint **callers;
static int caller_count;

void calls_make(struct endpoint **endpoints, int count)
{
    callers = endpoints;
    caller_count = count;
    slots = calloc(SLOTS, sizeof *slots);
    unused = calloc(SLOTS, sizeof *unused);
    for (int32_t i = SLOTS; i-- > 0;)
        unused[unused_count++] = i;
}

struct call *call_named(struct span id)
{
    char *rest;
    if (id.size < 12 || memcmp(id.at + 1, run_name, 8))
        return NULL;
    unsigned long index = strtoul(id.at + 10, &rest, 16);
    if (id.at[0] == 'r')
        return index < (unsigned long)settings.users && users[index].slot >= 0 ? &slots[users[index].slot] : NULL;
    if (index >= SLOTS || *rest != '-' || strtoul(rest + 1, NULL, 16) != slots[index].generation)
        return NULL;
    return slots[index].state == FREE ? NULL : &slots[index];
}

/* --- the end of a call ---------------------------------------------------------------------------- */

static void end(struct call *call)
{
    timer_stop(&call->timer);
    timer_stop(&call->patience);
    answer_forget(call);
    call->state = FREE;
    call->generation++;
    if (call->user && call->user->slot == call->index)
        call->user->slot = -1;
    running--;
    unused[unused_count++] = call->index;
    call_ended(call);
}

static void fail(struct call *call, int status)
{
    if (call->is_measured) {
        counters.failed++;
        counters.by_status[status]++;
        counters.timed_out += status == 408;
    }
    if (call->is_preparation) {
        fprintf(stderr, "the registration of %s failed: %d\n", call->user->name, status);
        exit(1);
    }
    end(call);
}

static void complete(struct call *call, int64_t now)
{
    if (call->is_measured)
        measure_completed(now);
    if (call->is_preparation)
        registered++;
    end(call);
}

static void lose_patience(struct timer *timer)
{
    struct call *call = (struct call *)((char *)timer - offsetof(struct call, patience));
    if (call->is_measured) {
        counters.abandoned++;
        counters.failed++;
    }
    end(call);
}

/* --- sending, and sending again ------------------------------------------------------------------- */

static void send_again(struct timer *timer)
{
    struct call *call = (struct call *)timer;
    int64_t interval = (int64_t)T1 << call->attempt, now = now_us();
    if (now - call->sent_at >= (call->is_preparation ? TIMEOUT / 4 : TIMEOUT)) {
        fail(call, 408);
        return;
    }
    if (!settings.stream) {
        counters.retransmitted++;
        request_send(call, call->method);
    }
    call->attempt++;
    interval *= 2;
    if (call->state != INVITING && interval > T2)
        interval = T2;
    timer_arm(timer, now + interval, send_again);
}

static void ask(struct call *call, const char *method, enum state state)
{
    call->method = method;
    call->state = state;
    call->attempt = 0;
    call->sent_at = now_us();
    if (state == INVITING)
        call->invite_cseq = call->cseq;
    request_send(call, method);
    timer_arm(&call->timer, call->sent_at + T1, send_again);
}

static void time_out(struct timer *timer) { fail((struct call *)timer, 408); }

static void hang_up(struct timer *timer)
{
    struct call *call = (struct call *)timer;
    call->cseq++;
    ask(call, "BYE", ENDING);
}

static struct call *take_slot(struct user *user, enum scenario scenario)
{
    struct call *call = &slots[unused[--unused_count]];
    int32_t index = (int32_t)(call - slots);
    call->index = index;
    call->scenario = scenario;
    call->user = user;
    call->is_answered = call->is_alerted = call->is_asked = call->with_credentials = call->is_preparation = false;
    call->is_measured = is_measuring;
    call->endpoint = callers[index % caller_count];
    call->next_hop = settings.server;
    call->begun = now_us();
    call->cseq = 1;
    call->caller = NULL;
    call->route[0] = 0;
    running++;
    return call;
}

static void start_register(struct call *call)
{
    struct user *user = call->user;
    user->slot = call->index;
    call->endpoint = user->endpoint;
    call->cseq = ++user->cseq;
    call->with_credentials = call->scenario == REGISTER_DIGEST && user->nonce[0];
    if (call->with_credentials)
        user->nonce_count++;
    ask(call, "REGISTER", ASKING);
}

void call_start(enum scenario scenario, struct user *user, bool is_preparation)
{
    counters.started += is_measuring;
    if (!unused_count) {
        counters.abandoned += is_measuring;
        counters.failed += is_measuring;
        return;
    }
    struct call *call = take_slot(user, scenario);
    call->is_preparation = is_preparation;
    call->is_forgetting = is_preparation && settings.replaces;
    if (settings.patience > 0 && !is_preparation)
        timer_arm(&call->patience, call->begun + (int64_t)(settings.patience * 1e6), lose_patience);
    if (is_preparation || scenario == REGISTER || scenario == REGISTER_DIGEST || scenario == REGISTER_CHALLENGE || scenario == REFUSED)
        start_register(call);
    else if (scenario == OPTIONS)
        ask(call, "OPTIONS", ASKING);
    else if (scenario == MESSAGE)
        ask(call, "MESSAGE", ASKING);
    else {
        if (scenario == CALL_DIGEST)
            call->caller = &users[((user - users) + settings.users / 2) % settings.users];
        ask(call, "INVITE", INVITING);
    }
}

/* --- responses -------------------------------------------------------------------------------------- */

/* While users are prepared, a server that is busy (503) is asked again half a second later. */
static void register_again(struct timer *timer)
{
    struct call *call = (struct call *)timer;
    call->cseq = ++call->user->cseq;
    call->with_credentials = false;
    ask(call, "REGISTER", ASKING);
}

/* The contacts of earlier runs are gone; now those of this one. The nonce is still good. */
static void register_now(struct call *call)
{
    struct user *user = call->user;
    call->is_forgetting = false;
    call->cseq = ++user->cseq;
    user->nonce_count++;
    ask(call, "REGISTER", ASKING);
}

static bool answer_challenge(struct call *call, const struct message *m)
{
    struct user *user = call->caller ? call->caller : call->user;
    bool is_stale = call->with_credentials && span_is(span_parameter(m->challenges[0], "stale"), "true");
    if ((call->with_credentials && !is_stale) || call->scenario == MESSAGE || call->scenario == CALL || !user_challenged(user, m))
        return false;
    counters.challenged += call->is_measured;
    user->nonce_count = 1;
    call->with_credentials = true;
    call->cseq++;
    if (call->method[0] == 'R')
        user->cseq = call->cseq;
    ask(call, call->method, call->method[0] == 'I' ? INVITING : ASKING);
    return true;
}

static void copy(char *to, size_t room, struct span from)
{
    size_t size = from.size < room ? from.size : room - 1;
    memcpy(to, from.at, size);
    to[size] = 0;
}

/* Section 12.1.2: the route set is the Record-Route in reverse order. */
static void begin_dialog(struct call *call, const struct message *m)
{
    size_t used = 0;
    copy(call->to_tag, sizeof call->to_tag, span_parameter(m->to, "tag"));
    copy(call->contact, sizeof call->contact, span_uri(m->contact));
    for (int i = m->record_route_count; i-- > 0;) {
        const struct span value = m->record_routes[i];
        const char *entry_end = value.at + value.size;
        for (const char *at = entry_end; at-- > value.at;)      /* entries of one line, from the last to the first */
            if (at == value.at || (*at == ',' && at[-1] != ',')) {
                const char *from = *at == ',' ? at + 1 : at;
                used += (size_t)snprintf(call->route + used, sizeof call->route - used, "Route: %.*s\r\n", (int)(entry_end - from), from);
                entry_end = at;
            }
    }
    if (m->record_route_count) {
        struct span last = span_uri((struct span){call->route + 7, strlen(call->route) - 7});
        span_address(last, &call->next_hop);
    }
}

static void invite_answered(struct call *call, const struct message *m, int64_t now)
{
    if (call->state != INVITING && call->state != PROCEEDING) {
        acknowledge(call); /* the callee did not see our ACK yet */
        return;
    }
    if (call->is_measured)
        measure_answer(now - call->begun);
    timer_stop(&call->timer);
    timer_stop(&call->patience);
    begin_dialog(call, m);
    call->is_answered = true;
    call->state = TALKING;
    acknowledge(call);
    if (settings.talk > 0)
        timer_arm(&call->timer, now + (int64_t)(settings.talk * 1e6), hang_up);
    else
        hang_up(&call->timer);
}

static void invite_response(struct call *call, const struct message *m, int64_t now)
{
    if (m->status >= 200) {
        invite_answered(call, m, now);
        return;
    }
    if (m->status > 100 && !call->is_alerted && call->is_measured)
        measure_setup(now - call->begun);
    if (settings.scenario == RINGING && m->status > 100 && !call->is_alerted && call->is_measured)
        measure_completed(now);
    call->is_alerted |= m->status > 100;
    if (call->state == INVITING) {
        call->state = PROCEEDING;
        timer_stop(&call->timer);
        if (settings.scenario != RINGING)
            timer_arm(&call->timer, now + 2 * TIMEOUT, time_out);
    }
}

static void invite_refused(struct endpoint *endpoint, struct call *call, const struct message *m)
{
    acknowledge_failure(endpoint, m);
    if (!call || m->cseq_number != call->cseq || (call->state != INVITING && call->state != PROCEEDING))
        return;
    if (m->status != 407 || !answer_challenge(call, m))
        fail(call, m->status);
}

static void final_response(struct call *call, const struct message *m, int64_t now)
{
    timer_stop(&call->timer);
    if (m->status == 401 && call->scenario == REFUSED && !call->is_preparation) {
        if (call->is_measured)
            measure_answer(now - call->sent_at);
        complete(call, now);
    } else if (m->status == 401 && answer_challenge(call, m)) {
        return;
    } else if (m->status == 503 && call->is_preparation) {
        timer_arm(&call->timer, now + T1, register_again);
    } else if (m->status >= 300) {
        fail(call, m->status);
    } else if (call->is_forgetting) {
        register_now(call);
    } else {
        if (call->is_measured && call->state == ASKING)
            measure_answer(now - call->begun);
        complete(call, now);
    }
}

void response_received(struct endpoint *endpoint, const struct message *m)
{
    struct call *call = call_named(m->call_id);
    int64_t now = now_us();
    if (span_is(m->cseq_method, "INVITE")) {
        if (m->status >= 300)
            invite_refused(endpoint, call, m);
        else if (call && m->cseq_number == call->invite_cseq)
            invite_response(call, m, now);
    } else if (call && m->status >= 200 && m->cseq_number == call->cseq && span_is(m->cseq_method, call->method) &&
               (call->state == ASKING || call->state == ENDING))
        final_response(call, m, now);
}
