/* More people than any server can serve, and none of them waits for another: an open loop of code-only RADIUS logins.
 *
 * Whoever is not answered in time asks again, octet for octet, and gives up after the last try; it never sends a code of its own
 * making twice, and a reply that does not verify ends the run. RFC 2865 3, RFC 5080 2.2.1 (asking again), RFC 4226 (the codes).
 *
 *   flood PORT SECRET RATE [--users N] [--first N] [--seconds S] [--timeout S] [--tries N] [--from ADDRESS] [--counters FILE] [--wrong]
 *
 * RATE new logins begin in a second. One line of JSON comes out, with the logins that were answered in each second since the start.
 * --wrong: codes that are none; Access-Rejects are counted then, not complained about.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "radius.h"

enum { IDENTIFIERS = 256, BATCH = 64, LARGEST = 4096, PACKET = 160, MOST_SECONDS = 600, SLOWEST = 200000 };
static const uint64_t SECOND = 1000000000;

/* One login: its place says socket and identifier, and its numbers make its octets again. */
struct login {
    uint64_t began, random;
    uint32_t user, counter;
    uint16_t turn;
    uint8_t tries;
    bool waits;
};

/* What was sent is looked at again, in the order in which it was sent: all wait equally long. */
struct sent {
    uint64_t at;
    uint32_t place;
    uint16_t turn;
};

static struct {
    struct sockaddr_in server, from;
    double rate, seconds, timeout;
    long users, first, tries;
    bool wrong;
} ask = {.rate = 1000, .seconds = 5, .timeout = 3, .users = 1000000, .tries = 3};

static struct {
    uint64_t logins, packets, accepts, rejects, given_up, strays, unsent, full;
    uint32_t answered[MOST_SECONDS], latency[SLOWEST];
} count;

static struct secret shared;
static struct login *logins;
static struct sent *line;
static uint64_t places, line_size, line_head, line_tail, random_state[2], begin;
static int *sockets, sockets_count;
static uint32_t *counters;

static void die(const char *what) {
    fprintf(stderr, "flood: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

static uint64_t clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* xorshift128+: good enough to be new, not to be secret. */
static uint64_t random_number(void) {
    uint64_t a = random_state[0], b = random_state[1];
    random_state[0] = b;
    a ^= a << 23;
    random_state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
    return random_state[1] + b;
}

static void authenticator_of(const struct login *login, uint8_t where[16]) {
    uint64_t words[2] = {login->random, ~login->random};
    memcpy(where, words, sizeof words);
}

static int write_packet(const struct login *login, uint8_t identifier, uint8_t *packet) {
    char name[24], code[7];
    packet[0] = ACCESS_REQUEST, packet[1] = identifier;
    authenticator_of(login, packet + 4);
    int at = put(packet, HEADER, USER_NAME, name, (size_t)snprintf(name, sizeof name, "user%07u", login->user));
    code_of(login->user, ask.wrong ? login->counter + 1000000 : login->counter, code);
    at = put_password(&shared, packet, at, code);
    at = put(packet, at, NAS_IDENTIFIER, "flood", 5);
    return put_signature(&shared, packet, at);
}

/* All packets of one call go through one socket; what the kernel does not take is lost, as on a network. */
struct burst {
    int fd, waiting;
    uint8_t packets[BATCH][PACKET];
    struct iovec pieces[BATCH];
    struct mmsghdr messages[BATCH];
};

static void flush(struct burst *burst) {
    int sent = burst->waiting ? sendmmsg(burst->fd, burst->messages, (unsigned)burst->waiting, MSG_DONTWAIT) : 0;
    count.unsent += (uint64_t)(burst->waiting - (sent > 0 ? sent : 0));
    count.packets += (uint64_t)burst->waiting;
    burst->waiting = 0;
}

static void send_login(struct burst *burst, uint64_t place, uint64_t now) {
    struct login *login = &logins[place];
    int fd = sockets[place / IDENTIFIERS], n;
    if (burst->fd != fd || burst->waiting == BATCH) flush(burst), burst->fd = fd;
    n = burst->waiting++;
    int length = write_packet(login, (uint8_t)(place % IDENTIFIERS), burst->packets[n]);
    burst->pieces[n] = (struct iovec){burst->packets[n], (size_t)length};
    burst->messages[n].msg_hdr = (struct msghdr){.msg_iov = &burst->pieces[n], .msg_iovlen = 1};
    login->tries++;
    line[line_tail++ % line_size] = (struct sent){now, (uint32_t)place, login->turn};
}

static void receive(int which, uint64_t now) {
    static uint8_t data[BATCH][LARGEST];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec pieces[BATCH];
    uint8_t asked[16];
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){data[i], LARGEST};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    int received = recvmmsg(sockets[which], messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < received; i++) {
        struct login *login = &logins[which * IDENTIFIERS + data[i][1]];
        authenticator_of(login, asked);
        if (!login->waits || messages[i].msg_len < HEADER) {
            count.strays++;
            continue;
        }
        if (!is_reply(&shared, asked, data[i], (int)messages[i].msg_len, true)) die("a reply that does not verify");
        login->waits = false;
        uint64_t second = (now - begin) / SECOND, took = (now - login->began) / 100000;
        if (data[i][0] == ACCESS_ACCEPT) {
            count.accepts++;
            counters[login->user] = login->counter + 1;
            if (second < MOST_SECONDS) count.answered[second]++;
            count.latency[took < SLOWEST ? took : SLOWEST - 1]++;
        } else {
            count.rejects++;
            if (!ask.wrong) fprintf(stderr, "flood: reply %d for user%07u at counter %u\n", data[i][0], login->user, login->counter);
        }
    }
}

/* Those whose time is over ask again or give up; a code that was sent may be spent, so the fob goes on. */
static void look_again(struct burst *burst, uint64_t now) {
    uint64_t patience = (uint64_t)(ask.timeout * 1e9);
    while (line_head < line_tail) {
        struct sent sent = line[line_head % line_size];
        if (sent.at + patience > now) break;
        line_head++;
        struct login *login = &logins[sent.place];
        if (!login->waits || login->turn != sent.turn) continue;
        if (login->tries < ask.tries) {
            send_login(burst, sent.place, now);
        } else {
            login->waits = false;
            counters[login->user] = login->counter + 1;
            count.given_up++;
        }
    }
    flush(burst);
}

static void run(int poll) {
    static struct burst burst;
    struct epoll_event ready[256];
    uint64_t next = 0, now = begin = clock_now(), end = begin + (uint64_t)(ask.seconds * 1e9);
    uint64_t last = end + (uint64_t)(ask.timeout * (double)ask.tries * 1e9);
    while (now < end || (line_head < line_tail && now < last)) {
        uint64_t due = now < end ? (uint64_t)((double)(now - begin) / 1e9 * ask.rate) : count.logins;
        /* what it is behind with is made up for in small parts, so that replies are taken in between */
        for (int n = 0; count.logins < due && n < 512; n++, next = (next + 1) % places) {
            struct login *login = &logins[next];
            count.logins++;
            if (login->waits) {
                count.full++;
                continue;
            }
            uint32_t user = (uint32_t)(ask.first + (long)(count.logins % (uint64_t)ask.users));
            *login = (struct login){.began = now, .random = random_number(), .user = user, .counter = counters[user],
                                    .turn = (uint16_t)(login->turn + 1), .waits = true};
            send_login(&burst, next, now);
        }
        flush(&burst);
        look_again(&burst, now);
        int some = epoll_wait(poll, ready, 256, 1);
        now = clock_now();
        for (int i = 0; i < some; i++) receive((int)ready[i].data.u32, now);
    }
}

static double percentile(double part) {
    uint64_t wanted = (uint64_t)(part * (double)count.accepts), seen = 0;
    for (uint32_t i = 0; i < SLOWEST; i++)
        if ((seen += count.latency[i]) > wanted) return i / 10.0;
    return 0;
}

static void report(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"rate\": %.0f, \"seconds\": %.1f, \"logins\": %lu, \"packets\": %lu, \"accepts\": %lu, \"rejects\": %lu, ", ask.rate, ask.seconds,
           count.logins, count.packets, count.accepts, count.rejects);
    printf("\"given_up\": %lu, \"strays\": %lu, \"unsent\": %lu, \"full\": %lu, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"cpu\": %.2f, \"answered\": [",
           count.given_up, count.strays, count.unsent, count.full, percentile(0.5), percentile(0.99),
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    for (int second = 0; second < MOST_SECONDS && second < (int)(ask.seconds + ask.timeout * (double)ask.tries); second++)
        printf("%s%u", second ? ", " : "", count.answered[second]);
    puts("]}");
}

static void *memory(const char *path, size_t size) {
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (path && (fd < 0 || (lseek(fd, 0, SEEK_END) < (off_t)size && ftruncate(fd, (off_t)size)))) die(path);
    void *got = mmap(NULL, size, PROT_READ | PROT_WRITE, path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    if (got == MAP_FAILED) die("mmap");
    return got;
}

int main(int argc, char **argv) {
    const char *path = NULL;
    if (argc < 4) die("wanted: flood PORT SECRET RATE [options]");
    ask.server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ask.from = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ask.rate = atof(argv[3]);
    for (int i = 4; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--wrong")) {
            ask.wrong = true;
            continue;
        }
        if (!strcmp(name, "--users")) ask.users = atol(value);
        else if (!strcmp(name, "--first")) ask.first = atol(value);
        else if (!strcmp(name, "--seconds")) ask.seconds = atof(value);
        else if (!strcmp(name, "--timeout")) ask.timeout = atof(value);
        else if (!strcmp(name, "--tries")) ask.tries = atol(value);
        else if (!strcmp(name, "--from")) inet_pton(AF_INET, value, &ask.from.sin_addr);
        else if (!strcmp(name, "--counters")) path = value;
        else die(name);
        i++;
    }
    double at_once = ask.rate * ask.timeout * (double)ask.tries * 1.1 + IDENTIFIERS;
    if (ask.rate <= 0 || ask.timeout <= 0 || ask.tries < 1 || at_once > (double)ask.users)
        die("rate, timeout and tries over 0, and users for all who wait at one time");
    if (getrandom(random_state, sizeof random_state, 0) != sizeof random_state) die("random numbers");
    prepare_secret(&shared, argv[2]);
    sockets_count = (int)(at_once / IDENTIFIERS) + 1;
    places = (uint64_t)sockets_count * IDENTIFIERS;
    line_size = places * (uint64_t)ask.tries + BATCH;
    logins = memory(NULL, places * sizeof *logins), line = memory(NULL, line_size * sizeof *line);
    counters = memory(path, (size_t)(ask.first + ask.users) * sizeof *counters);
    sockets = calloc((size_t)sockets_count, sizeof *sockets);
    int poll = epoll_create1(0);
    for (int i = 0; i < sockets_count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (sockets[i] < 0 || bind(sockets[i], (struct sockaddr *)&ask.from, sizeof ask.from)) die("socket");
        if (connect(sockets[i], (struct sockaddr *)&ask.server, sizeof ask.server)) die("connect");
        if (epoll_ctl(poll, EPOLL_CTL_ADD, sockets[i], &event)) die("epoll");
    }
    run(poll);
    report();
    return 0;
}
