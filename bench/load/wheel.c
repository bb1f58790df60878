/* SPDX-License-Identifier: Apache-2.0 */
/* When is something due? A wheel of 10 ms steps; arming and stopping are constant time. */

#include "load.h"

#define STEP 10000
#define STEPS 8192 /* 82 seconds: more than twice any SIP timer */

static struct timer wheel[STEPS];
static int64_t reached;

void timer_stop(struct timer *timer)
{
    if (!timer->next)
        return;
    timer->next->previous = timer->previous;
    timer->previous->next = timer->next;
    timer->next = timer->previous = NULL;
}

void timer_arm(struct timer *timer, int64_t due, void (*fire)(struct timer *))
{
    int64_t step = due / STEP + 1;
    timer_stop(timer);
    if (step <= reached)
        step = reached + 1;
    struct timer *head = &wheel[step % STEPS];
    if (!head->next)
        head->next = head->previous = head;
    timer->due = due;
    timer->fire = fire;
    timer->next = head;
    timer->previous = head->previous;
    head->previous->next = timer;
    head->previous = timer;
}

void timers_run(int64_t now)
{
    if (!reached)
        reached = now / STEP - 1;
    while (reached < now / STEP) {
        struct timer *head = &wheel[++reached % STEPS];
        while (head->next && head->next != head) {
            struct timer *timer = head->next;
            timer_stop(timer);
            timer->fire(timer);
        }
    }
}
