/* SPDX-License-Identifier: Apache-2.0 */
/* Who is registered, and how do they prove it? RFC 7616 with qop=auth; each user keeps its nonce and counts. */

#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct user *users;
static char realm[128];
static const char *algorithm = "MD5";

void users_make(struct endpoint **endpoints, int count)
{
    users = calloc((size_t)settings.users, sizeof *users);
    for (int i = 0; i < settings.users; i++) {
        snprintf(users[i].name, sizeof users[i].name, "%d", settings.first_user + i);
        users[i].endpoint = endpoints[i % count];
        users[i].slot = -1;
    }
}

static struct span chosen_challenge(const struct message *m)
{
    for (int i = 0; i < m->challenge_count; i++) {
        struct span named = span_parameter(m->challenges[i], "algorithm");
        bool is_sha256 = named.size == 7 && !strncasecmp(named.at, "SHA-256", 7);
        bool is_md5 = !named.size || (named.size == 3 && !strncasecmp(named.at, "MD5", 3));
        if (settings.sha256 ? is_sha256 : is_md5)
            return m->challenges[i];
    }
    return (struct span){NULL, 0};
}

/* Take the nonce of a 401 or 407. False if it offers nothing we speak. */
bool user_challenged(struct user *user, const struct message *m)
{
    struct span challenge = chosen_challenge(m);
    if (!challenge.at)
        return false;
    struct span nonce = span_parameter(challenge, "nonce"), named = span_parameter(challenge, "realm");
    if (!nonce.size || nonce.size >= sizeof user->nonce || !named.size || named.size >= sizeof realm)
        return false;
    memcpy(user->nonce, nonce.at, nonce.size);
    user->nonce[nonce.size] = 0;
    user->nonce_count = 0;
    memcpy(realm, named.at, named.size);
    realm[named.size] = 0;
    algorithm = settings.sha256 ? "SHA-256" : "MD5";
    if (!user->ha1[0]) {
        char text[512];
        int size = snprintf(text, sizeof text, "%s:%s:%s", user->name, realm, settings.password);
        digest_hex(settings.sha256, text, (size_t)size, user->ha1);
    }
    return true;
}

int user_credentials(struct user *user, const char *method, const char *uri, char *to, size_t room)
{
    char text[1024], ha2[65], response[65];
    const char *name = strcmp(method, "REGISTER") ? "Proxy-Authorization" : "Authorization";
    int size = snprintf(text, sizeof text, "%s:%s", method, uri);
    digest_hex(settings.sha256, text, (size_t)size, ha2);
    size = snprintf(text, sizeof text, "%s:%s:%08x:0a4f113b:auth:%s", user->ha1, user->nonce, user->nonce_count, ha2);
    digest_hex(settings.sha256, text, (size_t)size, response);
    return snprintf(to, room,
                    "%s: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", algorithm=%s, "
                    "cnonce=\"0a4f113b\", qop=auth, nc=%08x\r\n",
                    name, user->name, realm, user->nonce, uri, response, algorithm, user->nonce_count);
}
