/* SPDX-License-Identifier: Apache-2.0 */
/* What does a called phone answer? 180 and 200 at once; the 200 again until its ACK comes (RFC 3261 13.3.1.4). */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T1 500000
#define T2 4000000

static const char SDP[] = "v=0\r\n"
                          "o=- 3907654321 3907654321 IN IP4 127.0.0.1\r\n"
                          "s=call\r\n"
                          "c=IN IP4 127.0.0.1\r\n"
                          "t=0 0\r\n"
                          "m=audio 42000 RTP/AVP 8 101\r\n"
                          "a=rtpmap:101 telephone-event/8000\r\n"
                          "a=sendrecv\r\n";

/* Section 18.2.2 and RFC 3581: to the source when the Via asks for it, else to the port that the Via names. */
static struct sockaddr_in way_back(const struct message *m, const struct sockaddr_in *from)
{
    struct sockaddr_in to = *from;
    struct span via = m->vias[0];
    if (memmem(via.at, via.size, ";rport", 6) || settings.stream)
        return to;
    const char *space = memchr(via.at + 5, ' ', via.size - 5), *colon;
    if (space && (colon = memchr(space, ':', (size_t)(via.at + via.size - space))))
        to.sin_port = htons((uint16_t)atoi(colon + 1));
    return to;
}

static size_t write_response(char *to, const struct message *m, const char *status, const char *tag, const char *fields)
{
    int n = snprintf(to, 64, "SIP/2.0 %s\r\n", status);
    for (int i = 0; i < m->via_count; i++)
        n += snprintf(to + n, 512, "%.*s", (int)m->vias[i].size, m->vias[i].at);
    for (int i = 0; i < m->record_route_count && status[0] < '3'; i++)
        n += snprintf(to + n, 512, "Record-Route: %.*s\r\n", (int)m->record_routes[i].size, m->record_routes[i].at);
    n += snprintf(to + n, 1024, "From: %.*s\r\nTo: %.*s%s\r\nCall-ID: %.*s\r\nCSeq: %.*s\r\n%s", (int)m->from.size, m->from.at,
                  (int)m->to.size, m->to.at, tag, (int)m->call_id.size, m->call_id.at, (int)m->cseq.size, m->cseq.at, fields);
    return (size_t)n;
}

static void respond(struct endpoint *e, const struct sockaddr_in *to, const struct message *m, const char *status, const char *tag,
                    const char *fields)
{
    wire_commit(e, to, write_response(wire_room(e), m, status, tag, fields));
}

void answer_forget(struct call *call)
{
    timer_stop(&call->answer_timer);
    free(call->answer);
    call->answer = NULL;
}

static void send_answer(struct call *call)
{
    memcpy(wire_room(call->answer_endpoint), call->answer, call->answer_size);
    wire_commit(call->answer_endpoint, &call->answer_to, call->answer_size);
}

static void answer_again(struct timer *timer)
{
    struct call *call = (struct call *)((char *)timer - offsetof(struct call, answer_timer));
    int64_t interval = (int64_t)T1 << ++call->answer_attempt;
    counters.retransmitted++;
    send_answer(call);
    timer_arm(timer, now_us() + (interval > T2 ? T2 : interval), answer_again);
}

static void answer_invite(struct endpoint *e, const struct sockaddr_in *to, const struct message *m, struct call *call)
{
    char fields[768], text[MESSAGE_SIZE];
    const char *user_at = memchr(m->target.at, ':', m->target.size);
    int user_size = user_at ? (int)strcspn(user_at + 1, "@;> ") : 0;
    int n = snprintf(fields, sizeof fields, "Contact: <sip:%.*s@%s%s>\r\n", user_size, user_at + 1, e->address,
                     settings.stream ? ";transport=tcp" : "");
    snprintf(fields + n, sizeof fields - (size_t)n, "Content-Length: 0\r\n\r\n");
    respond(e, to, m, "180 Ringing", ";tag=b", fields);
    if (settings.scenario == RINGING)
        return;
    snprintf(fields + n, sizeof fields - (size_t)n,
             "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: replaces\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof SDP - 1, SDP);
    call->answer_size = write_response(text, m, "200 OK", ";tag=b", fields);
    call->answer = malloc(call->answer_size);
    memcpy(call->answer, text, call->answer_size);
    call->answer_endpoint = e;
    call->answer_to = *to;
    call->answer_attempt = 0;
    send_answer(call);
    timer_arm(&call->answer_timer, now_us() + T1, answer_again);
}

static void invite_received(struct endpoint *e, const struct sockaddr_in *to, const struct message *m)
{
    struct call *call = call_named(m->call_id);
    if (!call || call->is_answered || (m->target.size > 9 && !memcmp(m->target.at, "sip:dead-", 9)))
        respond(e, to, m, "480 Temporarily Unavailable", ";tag=d", "Content-Length: 0\r\n\r\n");
    else if (call->answer) {
        counters.repeated++;
        send_answer(call);
    } else
        answer_invite(e, to, m, call);
}

void request_received(struct endpoint *e, const struct sockaddr_in *from, const struct message *m)
{
    struct sockaddr_in to = way_back(m, from);
    struct call *call;
    if (span_is(m->method, "INVITE"))
        invite_received(e, &to, m);
    else if (span_is(m->method, "ACK")) {
        call = call_named(m->call_id);
        if (call && call->is_answered && span_is(span_parameter(m->to, "tag"), "b"))
            answer_forget(call);
    } else {
        if ((call = call_named(m->call_id)) && (call->state == ENDING || call->state == ASKING)) {
            counters.repeated += call->is_asked;
            call->is_asked = true;
        }
        respond(e, &to, m, "200 OK", span_parameter(m->to, "tag").size ? "" : ";tag=b", "Content-Length: 0\r\n\r\n");
    }
}
