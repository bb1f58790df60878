/* SPDX-License-Identifier: Apache-2.0 */
/* What does a caller write? An INVITE has 15 header fields and 860 bytes, like those of common desk phones. */

#include "load.h"

#include <stdio.h>
#include <string.h>

static const char SDP[] = "v=0\r\n"
                          "o=- 3901234567 3901234567 IN IP4 127.0.0.1\r\n"
                          "s=call\r\n"
                          "c=IN IP4 127.0.0.1\r\n"
                          "t=0 0\r\n"
                          "m=audio 40000 RTP/AVP 8 0 101\r\n"
                          "a=rtpmap:101 telephone-event/8000\r\n"
                          "a=fmtp:101 0-15\r\n"
                          "a=sendrecv\r\n";

static const char INVITE_FIELDS[] = "User-Agent: Load Generator 1.0 (Desk Phone)\r\n"
                                    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n"
                                    "Supported: replaces, outbound, path\r\n"
                                    "Accept: application/sdp\r\n"
                                    "Accept-Language: en\r\n"
                                    "Subject: measured\r\n"
                                    "Content-Type: application/sdp\r\n";

static const char TEXT[] = "The quick brown fox jumps over the lazy dog, and the proxy passes it on.";

static const char *transport(void) { return settings.stream ? "TCP" : "UDP"; }
static const char *transport_parameter(void) { return settings.stream ? ";transport=tcp" : ""; }

/* Request line, Via, Max-Forwards: what every request begins with. The branch is made of the slot, so that a
   retransmission is written anew and yet the same. */
static int begin(char *to, const struct call *call, const char *method, const char *target)
{
    bool is_register = call->method[0] == 'R';
    return snprintf(to, 1024,
                    "%s %s SIP/2.0\r\n"
                    "Via: SIP/2.0/%s %s;rport;branch=z9hG4bK%s%x.%x.%x%s\r\n"
                    "Max-Forwards: 70\r\n",
                    method, target, transport(), call->endpoint->address, run_name, call->index, call->generation, call->cseq,
                    is_register ? "r" : !strcmp(method, "ACK") && call->is_answered ? "a" : "");
}

static int identity(char *to, const struct call *call, const char *method, struct span to_field)
{
    return snprintf(to, 1024,
                    "From: \"Caller %x\" <sip:%s@%s>;tag=%s%x\r\n"
                    "To: %.*s\r\n"
                    "Call-ID: c%s-%x-%x@load.invalid\r\n"
                    "CSeq: %u %s\r\n",
                    call->index, call->caller ? call->caller->name : "visitor", call->caller ? settings.domain : "elsewhere.example",
                    run_name, call->index, (int)to_field.size, to_field.at, run_name, call->index, call->generation, call->cseq, method);
}

static size_t write_outside(char *to, struct call *call, const char *method)
{
    char target[128], callee[160];
    int n;
    bool is_invite = !strcmp(method, "INVITE"), is_message = !strcmp(method, "MESSAGE");
    if (is_invite || is_message) {
        snprintf(target, sizeof target, "sip:%s@%s", call->user->name, settings.domain);
        snprintf(callee, sizeof callee, "<%s>", target);
    } else {
        snprintf(target, sizeof target, "sip:%s", settings.server_text);
        snprintf(callee, sizeof callee, "<%s>", target);
    }
    n = begin(to, call, method, target);
    n += identity(to + n, call, method, (struct span){callee, strlen(callee)});
    n += snprintf(to + n, 256, "Contact: <sip:visitor@%s%s>\r\n", call->endpoint->address, transport_parameter());
    if (call->with_credentials)
        n += user_credentials(call->caller, method, target, to + n, 768);
    if (is_invite)
        n += snprintf(to + n, 1024, "%sContent-Length: %zu\r\n\r\n%s", INVITE_FIELDS, sizeof SDP - 1, SDP);
    else if (is_message)
        n += snprintf(to + n, 512, "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", sizeof TEXT - 1, TEXT);
    else
        n += snprintf(to + n, 256, "Accept: application/sdp\r\nUser-Agent: Load Generator 1.0\r\nContent-Length: 0\r\n\r\n");
    return (size_t)n;
}

static size_t write_register(char *to, struct call *call)
{
    struct user *user = call->user;
    char target[128], contacts[320];
    snprintf(target, sizeof target, "sip:%s", settings.domain);
    int n = snprintf(contacts, sizeof contacts, "Contact: <sip:%s@%s%s>\r\n", user->name, user->endpoint->address, transport_parameter());
    if (settings.scenario == FORK)
        snprintf(contacts, sizeof contacts, "Contact: <sip:dead-%s@%s%s>;q=0.9, <sip:%s@%s%s>;q=0.5\r\n", user->name,
                 user->endpoint->address, transport_parameter(), user->name, user->endpoint->address, transport_parameter());
    if (call->is_forgetting)
        snprintf(contacts, sizeof contacts, "Contact: *\r\n");
    n = begin(to, call, "REGISTER", target);
    n += snprintf(to + n, 1024,
                  "From: <sip:%s@%s>;tag=%s%x\r\n"
                  "To: <sip:%s@%s>\r\n"
                  "Call-ID: r%s-%x@load.invalid\r\n"
                  "CSeq: %u REGISTER\r\n"
                  "%s"
                  "Expires: %d\r\n"
                  "User-Agent: Load Generator 1.0 (Desk Phone)\r\n",
                  user->name, settings.domain, run_name, (int)(user - users), user->name, settings.domain, run_name, (int)(user - users),
                  call->cseq, contacts, call->is_forgetting ? 0 : 3600);
    if (call->with_credentials)
        n += user_credentials(user, "REGISTER", target, to + n, 768);
    return (size_t)(n + snprintf(to + n, 64, "Content-Length: 0\r\n\r\n"));
}

static size_t write_inside(char *to, struct call *call, const char *method)
{
    char callee[256];
    int size = snprintf(callee, sizeof callee, "<sip:%s@%s>;tag=%s", call->user->name, settings.domain, call->to_tag);
    int n = begin(to, call, method, call->contact);
    n += snprintf(to + n, sizeof call->route, "%s", call->route);
    n += identity(to + n, call, method, (struct span){callee, (size_t)size});
    return (size_t)(n + snprintf(to + n, 128, "User-Agent: Load Generator 1.0 (Desk Phone)\r\nContent-Length: 0\r\n\r\n"));
}

void request_send(struct call *call, const char *method)
{
    char *to = wire_room(call->endpoint);
    size_t size;
    if (!strcmp(method, "REGISTER"))
        size = write_register(to, call);
    else if (call->is_answered)
        size = write_inside(to, call, method);
    else
        size = write_outside(to, call, method);
    wire_commit(call->endpoint, &call->next_hop, size);
}

/* The ACK of a success is a request of its own (13.2.2.4); its CSeq is the INVITE's, also once the BYE is on its way. */
void acknowledge(struct call *call)
{
    uint32_t cseq = call->cseq;
    call->cseq = call->invite_cseq;
    request_send(call, "ACK");
    call->cseq = cseq;
}

/* The ACK of a failure belongs to the INVITE's transaction (17.1.1.3): all of it is in the response. */
void acknowledge_failure(struct endpoint *endpoint, const struct message *m)
{
    char *to = wire_room(endpoint);
    struct span target = span_uri(m->to);
    int n = snprintf(to, MESSAGE_SIZE,
                     "ACK %.*s SIP/2.0\r\n%.*sMax-Forwards: 70\r\nFrom: %.*s\r\nTo: %.*s\r\nCall-ID: %.*s\r\nCSeq: %u ACK\r\n"
                     "Content-Length: 0\r\n\r\n",
                     (int)target.size, target.at, (int)m->vias[0].size, m->vias[0].at, (int)m->from.size, m->from.at, (int)m->to.size,
                     m->to.at, (int)m->call_id.size, m->call_id.at, m->cseq_number);
    wire_commit(endpoint, &settings.server, (size_t)n);
}
