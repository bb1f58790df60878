/* SPDX-License-Identifier: Apache-2.0 */
/* How many, and how long did an answer take? Histograms with 64 steps an octave: 1.1 % exact. */

#include "load.h"

#include <stdio.h>
#include <string.h>

#define OCTAVES 28
#define STEPS 64
#define SECONDS 4096

struct histogram {
    int64_t steps[OCTAVES * STEPS];
    int64_t count, longest;
};

struct counters counters;
static struct histogram answers, setups;
static int64_t begun, per_second[SECONDS];

void measure_begin(void)
{
    memset(&counters, 0, sizeof counters);
    memset(&answers, 0, sizeof answers);
    memset(&setups, 0, sizeof setups);
    memset(per_second, 0, sizeof per_second);
    begun = now_us();
}

static int step_of(int64_t us)
{
    if (us < STEPS)
        return us < 0 ? 0 : (int)us;
    int octave = 63 - __builtin_clzll((unsigned long long)us) - 6; /* 64..127 is octave 0 */
    int step = (octave + 1) * STEPS + (int)((us >> octave) - STEPS);
    return step < OCTAVES * STEPS ? step : OCTAVES * STEPS - 1;
}

static double middle_of(int step)
{
    if (step < STEPS)
        return step;
    int octave = step / STEPS - 1;
    return ((double)(step % STEPS) + STEPS + 0.5) * (double)(1LL << octave);
}

static void note(struct histogram *histogram, int64_t us)
{
    histogram->steps[step_of(us)]++;
    histogram->count++;
    if (us > histogram->longest)
        histogram->longest = us;
}

void measure_answer(int64_t us) { note(&answers, us); }
void measure_setup(int64_t us) { note(&setups, us); }

void measure_completed(int64_t now)
{
    int64_t second = (now - begun) / 1000000;
    counters.completed++;
    if (second >= 0 && second < SECONDS)
        per_second[second]++;
}

static double quantile(const struct histogram *histogram, double share)
{
    int64_t wanted = (int64_t)(share * (double)histogram->count), seen = 0;
    for (int step = 0; step < OCTAVES * STEPS; step++)
        if ((seen += histogram->steps[step]) > wanted)
            return middle_of(step);
    return (double)histogram->longest;
}

static void print_histogram(const char *name, const struct histogram *histogram)
{
    printf("\"%s\": {\"count\": %lld, \"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, \"p999\": %.0f, \"max\": %lld}, ", name,
           (long long)histogram->count, quantile(histogram, 0.5), quantile(histogram, 0.9), quantile(histogram, 0.99),
           quantile(histogram, 0.999), (long long)histogram->longest);
}

void measure_print(double seconds)
{
    const struct counters *c = &counters;
    printf("done {\"scenario\": \"%s\", \"seconds\": %.3f, \"started\": %lld, \"completed\": %lld, \"failed\": %lld, "
           "\"timed_out\": %lld, \"abandoned\": %lld, \"retransmitted\": %lld, \"repeated\": %lld, \"challenged\": %lld, "
           "\"sent\": %lld, \"received\": %lld, ",
           settings.scenario_name, seconds, (long long)c->started, (long long)c->completed, (long long)c->failed,
           (long long)c->timed_out, (long long)c->abandoned, (long long)c->retransmitted, (long long)c->repeated,
           (long long)c->challenged, (long long)c->sent, (long long)c->received);
    print_histogram("answer_us", &answers);
    print_histogram("setup_us", &setups);
    printf("\"statuses\": {");
    const char *comma = "";
    for (int status = 100; status < 700; status++)
        if (c->by_status[status]) {
            printf("%s\"%d\": %lld", comma, status, (long long)c->by_status[status]);
            comma = ", ";
        }
    printf("}, \"per_second\": [");
    for (int second = 0; second < (int)seconds && second < SECONDS; second++)
        printf("%s%lld", second ? ", " : "", (long long)per_second[second]);
    printf("]}\n");
    fflush(stdout);
}
