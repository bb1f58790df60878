/* SPDX-License-Identifier: Apache-2.0 */
/* What do the parts of the load generator share? One thread, one loop; every call lives in a slot. */

#ifndef RINGBACK_LOAD_H
#define RINGBACK_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_SIZE 4096 /* the longest message that is written or read */
#define BATCH 64          /* datagrams a system call */

/* --- what the command line says (main.c) ------------------------------------------------------- */

enum scenario { OPTIONS, REGISTER, REGISTER_DIGEST, REGISTER_CHALLENGE, REFUSED, CALL, CALL_DIGEST, MESSAGE, FORK, RINGING };

struct settings {
    enum scenario scenario;
    const char *scenario_name;
    struct sockaddr_in server;
    char server_text[32];
    const char *domain;
    const char *password;
    bool stream;          /* TCP */
    bool sha256;          /* the digest to answer with, where both are offered */
    bool replaces;        /* users forget the contacts of earlier runs before they register */
    bool hold;            /* wait for a line on standard input before the measurement */
    bool poisson;
    int users, first_user;
    int active;           /* so many of them are called; the others are only registered */
    int sources;          /* sockets or connections on each side */
    int window;           /* calls at the same time; 0 with a rate */
    double rate;          /* calls a second; 0 with a window */
    double warm_up, seconds;
    double patience;      /* a caller gives up after so many seconds */
    double talk;          /* between ACK and BYE */
};
extern struct settings settings;
extern char run_name[9];        /* so that no two runs share a Call-ID or a branch */

int64_t now_us(void);
void die(const char *what) __attribute__((noreturn));

/* --- wheel.c: timers --------------------------------------------------------------------------- */

struct timer {
    struct timer *next, *previous;
    int64_t due;                /* microseconds */
    void (*fire)(struct timer *);
};
void timer_arm(struct timer *timer, int64_t due, void (*fire)(struct timer *));
void timer_stop(struct timer *timer);
void timers_run(int64_t now);

/* --- wire.c: sockets --------------------------------------------------------------------------- */

struct endpoint;
typedef void (*receiver)(struct endpoint *, const struct sockaddr_in *from, char *bytes, size_t size);

struct endpoint {
    int fd;
    bool is_callee;
    char address[32];           /* its own, as host:port */
    receiver receive;
    struct outgoing *out;       /* datagrams of the next sendmmsg, or bytes of a stream */
    char *in;                   /* a stream's bytes that are no whole message yet */
    size_t in_size;
    struct endpoint *next_dirty;
    bool is_dirty;
};

struct endpoint *endpoint_open(bool is_callee, receiver receive);
char *wire_room(struct endpoint *endpoint);                     /* room for one message */
void wire_commit(struct endpoint *endpoint, const struct sockaddr_in *to, size_t size);
void wire_flush(void);
void wire_wait(int64_t until_us);                               /* receive, at most until then */

/* --- scan.c: what a message says --------------------------------------------------------------- */

struct span {
    const char *at;
    size_t size;
};

struct message {
    int status;                 /* 0 for a request */
    struct span method, target;
    struct span vias[8], record_routes[8], challenges[6];     /* of vias: whole lines; else values */
    int via_count, record_route_count, challenge_count;
    struct span from, to, call_id, cseq, contact;
    uint32_t cseq_number;
    struct span cseq_method;
};
bool scan(struct message *message, const char *bytes, size_t size);
bool span_is(struct span span, const char *text);
struct span span_parameter(struct span value, const char *name);    /* name=value or name="value" */
struct span span_uri(struct span name_addr);
bool span_address(struct span uri, struct sockaddr_in *address);    /* host:port of a numeric sip: URI */

/* --- digest.c ---------------------------------------------------------------------------------- */

void digest_hex(bool sha256, const char *text, size_t size, char *hex);  /* 33 or 65 bytes with the end */

/* --- measure.c: counters and answer times ------------------------------------------------------ */

struct counters {
    int64_t started, completed, failed, timed_out, abandoned;
    int64_t retransmitted;      /* requests and answers that we had to send again */
    int64_t repeated;           /* requests that the server sent again */
    int64_t challenged;
    int64_t sent, received;
    int64_t by_status[700];
};
extern struct counters counters;
void measure_begin(void);
void measure_answer(int64_t us);
void measure_setup(int64_t us);
void measure_completed(int64_t now);
void measure_print(double seconds);

/* --- users.c: the registered ones and their digests -------------------------------------------- */

struct user {
    char name[16];
    struct endpoint *endpoint;
    uint32_t cseq, nonce_count;
    int32_t slot;               /* of the transaction that is running; -1 */
    char nonce[100];
    char ha1[65];
};
extern struct user *users;
void users_make(struct endpoint **endpoints, int count);
bool user_challenged(struct user *user, const struct message *message);
int user_credentials(struct user *user, const char *method, const char *uri, char *to, size_t room);

/* --- call.c: slots ------------------------------------------------------------------------------ */

enum state { FREE, ASKING, INVITING, PROCEEDING, TALKING, ENDING };

struct call {
    struct timer timer;         /* of the caller's transaction, or of the talk */
    struct timer answer_timer;  /* of the callee's 200 */
    struct timer patience;
    enum state state;
    uint32_t generation, cseq, invite_cseq, attempt, answer_attempt;
    int32_t index;
    bool is_measured, is_answered, is_alerted, is_asked, with_credentials, is_preparation, is_forgetting;
    enum scenario scenario;
    const char *method;
    struct user *user;          /* who is called, or registers */
    struct user *caller;        /* in scenarios where the caller is a user too */
    struct endpoint *endpoint;  /* the caller's */
    int64_t begun, sent_at;
    struct sockaddr_in next_hop;
    char to_tag[80], contact[256], route[1024];
    char *answer;               /* the callee's 200, for sending it again */
    size_t answer_size;
    struct endpoint *answer_endpoint;
    struct sockaddr_in answer_to;
};
extern int64_t running;         /* slots in use */
extern int64_t registered;      /* users whose registration was confirmed */
extern bool is_measuring;
extern void (*call_ended)(struct call *);
struct call *call_named(struct span call_id);
void call_start(enum scenario scenario, struct user *user, bool is_preparation);
void calls_make(struct endpoint **endpoints, int count);
void response_received(struct endpoint *endpoint, const struct message *message);

/* --- request.c: what a caller writes ------------------------------------------------------------ */

void request_send(struct call *call, const char *method);
void acknowledge(struct call *call);
void acknowledge_failure(struct endpoint *endpoint, const struct message *message);

/* --- callee.c ----------------------------------------------------------------------------------- */

void request_received(struct endpoint *endpoint, const struct sockaddr_in *from, const struct message *message);
void answer_forget(struct call *call);

#endif
