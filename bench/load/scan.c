/* SPDX-License-Identifier: Apache-2.0 */
/* What does a received message say? Only what a caller and a callee need; long names only, since that is what we send. */

#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct span trimmed(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    return (struct span){from, (size_t)(to - from)};
}

static void add(struct span *spans, int *count, int limit, struct span span)
{
    if (*count < limit)
        spans[(*count)++] = span;
}

static void field(struct message *m, const char *line, const char *colon, const char *end)
{
    size_t length = (size_t)(colon - line);
    struct span value = trimmed(colon + 1, end);
    switch (length) {
    case 2:
        if (!strncasecmp(line, "To", 2))
            m->to = value;
        break;
    case 3:
        if (!strncasecmp(line, "Via", 3))
            add(m->vias, &m->via_count, 8, (struct span){line, (size_t)(end + 1 - line)});
        break;
    case 4:
        if (!strncasecmp(line, "From", 4))
            m->from = value;
        else if (!strncasecmp(line, "CSeq", 4)) {
            m->cseq = value;
            char *rest;
            m->cseq_number = (uint32_t)strtoul(value.at, &rest, 10);
            m->cseq_method = trimmed(rest, value.at + value.size);
        }
        break;
    case 7:
        if (!strncasecmp(line, "Call-ID", 7))
            m->call_id = value;
        else if (!strncasecmp(line, "Contact", 7))
            m->contact = value;
        break;
    case 12:
        if (!strncasecmp(line, "Record-Route", 12))
            add(m->record_routes, &m->record_route_count, 8, value);
        break;
    case 16:
        if (!strncasecmp(line, "WWW-Authenticate", 16))
            add(m->challenges, &m->challenge_count, 6, value);
        break;
    case 18:
        if (!strncasecmp(line, "Proxy-Authenticate", 18))
            add(m->challenges, &m->challenge_count, 6, value);
        break;
    default:
        break;
    }
}

static bool first_line(struct message *m, const char *bytes, const char *end)
{
    const char *space = memchr(bytes, ' ', (size_t)(end - bytes));
    if (!space)
        return false;
    if (space - bytes == 7 && !memcmp(bytes, "SIP/2.0", 7)) {
        m->status = atoi(space + 1);
        return m->status >= 100 && m->status < 700;
    }
    const char *second = memchr(space + 1, ' ', (size_t)(end - space - 1));
    if (!second)
        return false;
    m->method = (struct span){bytes, (size_t)(space - bytes)};
    m->target = (struct span){space + 1, (size_t)(second - space - 1)};
    return true;
}

bool scan(struct message *m, const char *bytes, size_t size)
{
    const char *stop = bytes + size;
    const char *end = memchr(bytes, '\n', size);
    m->status = 0;
    m->via_count = m->record_route_count = m->challenge_count = 0;
    m->from = m->to = m->call_id = m->cseq = m->contact = (struct span){bytes, 0};
    if (!end || !first_line(m, bytes, end))
        return false;
    for (const char *line = end + 1; line < stop; line = end + 1) {
        end = memchr(line, '\n', (size_t)(stop - line));
        if (!end || end - line < 2)
            break;
        const char *colon = memchr(line, ':', (size_t)(end - line));
        if (colon)
            field(m, line, colon, end);
    }
    return m->call_id.size && m->cseq.size && m->via_count;
}

bool span_is(struct span span, const char *text)
{
    return span.size == strlen(text) && !memcmp(span.at, text, span.size);
}

struct span span_parameter(struct span value, const char *name)
{
    size_t length = strlen(name);
    const char *stop = value.at + value.size;
    for (const char *at = value.at; at + length < stop; at++) {
        if (strncasecmp(at, name, length) || at[length] != '=')
            continue;
        if (at > value.at && !strchr(" ,;\t", at[-1]))
            continue;
        const char *from = at + length + 1, *to;
        if (from < stop && *from == '"') {
            from++;
            to = memchr(from, '"', (size_t)(stop - from));
            return (struct span){from, to ? (size_t)(to - from) : 0};
        }
        for (to = from; to < stop && !strchr(",; \t>\r", *to); to++)
            ;
        return (struct span){from, (size_t)(to - from)};
    }
    return (struct span){value.at, 0};
}

struct span span_uri(struct span value)
{
    const char *open = memchr(value.at, '<', value.size);
    if (!open) {
        const char *semicolon = memchr(value.at, ';', value.size);
        return (struct span){value.at, semicolon ? (size_t)(semicolon - value.at) : value.size};
    }
    const char *close = memchr(open, '>', (size_t)(value.at + value.size - open));
    return (struct span){open + 1, close ? (size_t)(close - open - 1) : 0};
}

bool span_address(struct span uri, struct sockaddr_in *address)
{
    char text[64];
    const char *at = memchr(uri.at, '@', uri.size);
    const char *from = at ? at + 1 : memchr(uri.at, ':', uri.size);
    if (!from)
        return false;
    if (!at)
        from++;
    size_t length = strcspn(from, ":;> \r");
    if (length >= sizeof text || from + length > uri.at + uri.size)
        return false;
    memcpy(text, from, length);
    text[length] = 0;
    address->sin_family = AF_INET;
    address->sin_port = htons(from[length] == ':' ? (uint16_t)atoi(from + length + 1) : 5060);
    return inet_pton(AF_INET, text, &address->sin_addr) == 1;
}
