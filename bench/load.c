/* A crowd of people with key fobs behind one NAS: a closed loop of RADIUS logins, faster than any server it asks.
 *
 * Every reply is verified before it counts; it never sends a code twice but in a retransmission, and never one user twice at once.
 * RFC 2865 3, 5.2 (User-Password, Response Authenticator), RFC 3579 3.2 (Message-Authenticator), RFC 4226 (the codes).
 *
 *   load code-only|challenge|fixed|echo PORT SECRET [--users N] [--outstanding N] [--seconds S] [--warm-up S] [--logins N]
 *                                       [--password TEXT] [--counters FILE] [--from ADDRESS] [--unsigned]
 *   load hotp INDEX COUNTER
 *
 * code-only: User-Password is the code. challenge: the password, then the code with the State of the challenge.
 * fixed: a code that never moves on, for a server of static passwords. echo: any reply with the identifier will do.
 * User INDEX is called userNNNNNNN, with the seed SHA-1("bench" || INDEX in 8 octets) and a counter that FILE keeps between runs.
 * One line of JSON comes out; the exit status is 1 when anything but good logins happened.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "radius.h"

enum { LARGEST = 4096, BATCH = 64, LOGINS_A_SOCKET = 64, IDENTIFIERS = 256, MOST_LOGINS = 1024 };
enum { SLOWEST = 8000000, TRIES = 5 };
static const uint64_t SECOND = 1000000000, RETRANSMIT = 1000000000;

enum mode { CODE_ONLY, CHALLENGE, FIXED, ECHO_ANY };

/* One person on the way in. */
struct login {
    uint8_t packet[512], state[255];
    int length, state_length, identifier, tries;
    uint32_t user;
    uint64_t began, sent;
    bool answering; /* the challenge has come, the code is on its way */
};

/* One source port: up to LOGINS_A_SOCKET logins share its 256 identifiers, which go round so that a late copy meets nobody. */
struct port {
    int fd, waiting;
    uint8_t next;
    struct login *by_identifier[IDENTIFIERS];
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
};

static struct {
    enum mode mode;
    struct sockaddr_in server, from;
    const char *secret, *password;
    long users, outstanding, most;
    double seconds, warm_up;
    bool signed_replies;
} ask = {.password = "correct horse", .users = 10000, .outstanding = 64, .seconds = 5, .warm_up = 0.5, .signed_replies = true};

static struct {
    uint64_t accepts, rejects, challenges, silences, bad, retransmissions, strays, measured;
    uint64_t latest_start;
} count;

static uint32_t *counters, *histogram;
static uint8_t *busy;
static uint64_t measure_from, measure_to, random_state[2];
static struct secret shared;
static bool stop;

static void die(const char *what) {
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
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

static void write_packet(struct port *port, struct login *login) {
    uint8_t *packet = login->packet;
    char name[24], code[7];
    static const uint8_t address[4] = {127, 0, 0, 1};
    uint8_t nas_port[4];
    uint64_t words[2] = {random_number(), random_number()};
    while (port->by_identifier[port->next]) port->next++;
    login->identifier = port->next++;
    port->by_identifier[login->identifier] = login;
    packet[0] = ACCESS_REQUEST, packet[1] = (uint8_t)login->identifier;
    memcpy(packet + 4, words, sizeof words);
    int at = put(packet, HEADER, USER_NAME, name, (size_t)snprintf(name, sizeof name, "user%07u", login->user));
    if (ask.mode == CHALLENGE && !login->answering) {
        at = put_password(&shared, packet, at, ask.password);
    } else {
        code_of(login->user, counters[login->user], code);
        at = put_password(&shared, packet, at, code);
    }
    put_big(nas_port, login->user);
    at = put(packet, at, NAS_IP_ADDRESS, address, sizeof address);
    at = put(packet, at, NAS_IDENTIFIER, "bench", 5);
    at = put(packet, at, NAS_PORT, nas_port, sizeof nas_port);
    if (login->answering) at = put(packet, at, STATE, login->state, (size_t)login->state_length);
    login->length = put_signature(&shared, packet, at), login->tries = 1;
}

static void next_person(struct login *login) {
    do login->user = (uint32_t)(random_number() % (uint64_t)ask.users);
    while (busy[login->user]);
    busy[login->user] = 1;
    login->answering = false;
    login->began = clock_now();
    count.latest_start++;
}

/* Hands what is queued to the kernel; a full socket buffer is waited for, a dead server is left to the retransmissions. */
static void flush(struct port *port) {
    int done = 0;
    while (done < port->waiting) {
        int sent = sendmmsg(port->fd, port->messages + done, (unsigned)(port->waiting - done), MSG_DONTWAIT);
        if (sent > 0) {
            done += sent;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            poll(&(struct pollfd){.fd = port->fd, .events = POLLOUT}, 1, 10);
        } else {
            done++;
        }
    }
    port->waiting = 0;
}

static void queue(struct port *port, struct login *login) {
    login->sent = clock_now();
    port->pieces[port->waiting] = (struct iovec){login->packet, (size_t)login->length};
    port->messages[port->waiting].msg_hdr = (struct msghdr){.msg_iov = &port->pieces[port->waiting], .msg_iovlen = 1};
    if (++port->waiting == BATCH) flush(port);
}

/* The first fault is named, and ends the run. */
static void complain(const char *what, const struct login *login) {
    if (!stop) fprintf(stderr, "load: %s for user%07u at counter %u\n", what, login->user, counters[login->user]);
    stop = true;
}

/* Whether this reply answers that request; its State is remembered. */
static bool verify(struct login *login, uint8_t *reply, int length) {
    if (!is_reply(&shared, login->packet + 4, reply, length, ask.signed_replies)) return false;
    login->state_length = 0;
    for (int at = HEADER; at < length; at += reply[at + 1])
        if (reply[at] == STATE) memcpy(login->state, reply + at + 2, (size_t)(login->state_length = reply[at + 1] - 2));
    return true;
}

static void note_latency(const struct login *login) {
    uint64_t now = clock_now(), took = (now - login->began) / 1000;
    if (now < measure_from || now >= measure_to) return;
    count.measured++;
    histogram[took < SLOWEST ? took : SLOWEST - 1]++;
}

/* What a reply means to the person: true when the login is over, false when its next packet is written. */
static bool finished(struct port *port, struct login *login, uint8_t *reply, int length) {
    if (ask.mode != ECHO_ANY && !verify(login, reply, length)) {
        count.bad++;
        complain("a reply that does not verify", login);
        return true;
    }
    if (ask.mode == ECHO_ANY || (reply[0] == ACCESS_ACCEPT && (ask.mode != CHALLENGE || login->answering))) {
        count.accepts++;
        counters[login->user] += ask.mode != FIXED;
        note_latency(login);
        return true;
    }
    if (reply[0] == ACCESS_CHALLENGE && ask.mode == CHALLENGE && !login->answering && login->state_length) {
        count.challenges++;
        login->answering = true;
        write_packet(port, login);
        queue(port, login);
        return false;
    }
    if (reply[0] == ACCESS_REJECT) count.rejects++;
    else count.bad++;
    complain(reply[0] == ACCESS_REJECT ? "Access-Reject" : "a reply that fits no step of this login", login);
    return true;
}

static bool may_start(uint64_t now) {
    return !stop && now < measure_to && (!ask.most || count.latest_start < (uint64_t)ask.most);
}

static void start(struct port *port, struct login *login) {
    next_person(login);
    write_packet(port, login);
    queue(port, login);
}

/* Takes in what has come to one port; returns how many logins ended for good. */
static int receive(struct port *port) {
    static uint8_t data[BATCH][LARGEST];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    int ended = 0;
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){data[i], LARGEST};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    int received = recvmmsg(port->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < received; i++) {
        int length = (int)messages[i].msg_len;
        struct login *login = length >= HEADER ? port->by_identifier[data[i][1]] : NULL;
        if (!login) {
            count.strays++;
            continue;
        }
        port->by_identifier[login->identifier] = NULL;
        if (!finished(port, login, data[i], length)) continue;
        busy[login->user] = 0;
        if (may_start(clock_now())) start(port, login);
        else ended++;
    }
    flush(port);
    return ended;
}

/* The same octets again after RETRANSMIT; after TRIES the login has met silence, and its code may or may not be spent. */
static int retransmit(struct port *port, uint64_t now) {
    int ended = 0;
    for (int i = 0; i < IDENTIFIERS; i++) {
        struct login *login = port->by_identifier[i];
        if (!login || now - login->sent < RETRANSMIT) continue;
        if (login->tries++ < TRIES) {
            count.retransmissions++;
            queue(port, login);
        } else {
            count.silences++;
            complain("silence", login);
            counters[login->user] += ask.mode != FIXED;
            busy[login->user] = 0;
            port->by_identifier[i] = NULL;
            ended++;
        }
    }
    flush(port);
    return ended;
}

static void run(void) {
    static struct login logins[MOST_LOGINS];
    static struct port ports[MOST_LOGINS / LOGINS_A_SOCKET];
    struct pollfd watched[MOST_LOGINS / LOGINS_A_SOCKET];
    int sockets = (int)((ask.outstanding + LOGINS_A_SOCKET - 1) / LOGINS_A_SOCKET), alive = 0;
    for (int i = 0; i < sockets; i++) {
        int room = 1 << 20;
        ports[i].fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (ports[i].fd < 0 || bind(ports[i].fd, (struct sockaddr *)&ask.from, sizeof ask.from)) die("socket");
        if (connect(ports[i].fd, (struct sockaddr *)&ask.server, sizeof ask.server)) die("connect");
        setsockopt(ports[i].fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        watched[i] = (struct pollfd){.fd = ports[i].fd, .events = POLLIN};
    }
    uint64_t now = clock_now(), looked = now;
    measure_from = now + (uint64_t)(ask.warm_up * 1e9), measure_to = measure_from + (uint64_t)(ask.seconds * 1e9);
    for (int i = 0; i < ask.outstanding && may_start(now); i++, alive++) start(&ports[i % sockets], &logins[i]);
    for (int i = 0; i < sockets; i++) flush(&ports[i]);
    while (alive > 0) {
        if (poll(watched, (nfds_t)sockets, 100) > 0)
            for (int i = 0; i < sockets; i++)
                if (watched[i].revents) alive -= receive(&ports[i]);
        if ((now = clock_now()) - looked < SECOND / 10) continue;
        for (int i = 0; i < sockets; i++) alive -= retransmit(&ports[i], looked = now);
    }
}

static double percentile(double part) {
    uint64_t wanted = (uint64_t)(part * (double)count.measured), seen = 0;
    for (uint32_t i = 0; i < SLOWEST; i++)
        if ((seen += histogram[i]) > wanted || (seen == count.measured && seen)) return i;
    return 0;
}

static void report(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double own = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    uint64_t all = count.accepts ? count.accepts : 1;
    printf("{\"outstanding\": %ld, \"users\": %ld, \"seconds\": %.3f, \"logins\": %lu, \"logins_per_second\": %.1f, ", ask.outstanding,
           ask.users, ask.seconds, count.measured, (double)count.measured / ask.seconds);
    printf("\"p50_us\": %.0f, \"p95_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f, ", percentile(0.5), percentile(0.95),
           percentile(0.99), percentile(1));
    printf("\"accepts\": %lu, \"challenges\": %lu, \"rejects\": %lu, \"silences\": %lu, \"bad_replies\": %lu, ", count.accepts,
           count.challenges, count.rejects, count.silences, count.bad);
    printf("\"retransmissions\": %lu, \"strays\": %lu, \"generator_us_per_login\": %.2f}\n", count.retransmissions, count.strays,
           own / (double)all);
}

/* One counter a user, in a file so that the next run goes on where this one ended; nameless memory where none is wanted. */
static uint32_t *map_counters(const char *path) {
    size_t size = (size_t)ask.users * sizeof *counters;
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (path && (fd < 0 || (lseek(fd, 0, SEEK_END) < (off_t)size && ftruncate(fd, (off_t)size)))) die(path);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, fd, 0);
    if (memory == MAP_FAILED) die("mmap");
    return memory;
}

static enum mode mode_of(const char *name) {
    static const char *names[] = {"code-only", "challenge", "fixed", "echo"};
    for (enum mode mode = CODE_ONLY; mode <= ECHO_ANY; mode++)
        if (!strcmp(name, names[mode])) return mode;
    die("the first word is code-only, challenge, fixed, echo or hotp");
    return ECHO_ANY;
}

int main(int argc, char **argv) {
    const char *path = NULL;
    char code[7];
    if (argc == 4 && !strcmp(argv[1], "hotp")) {
        code_of(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), code);
        return puts(code) < 0;
    }
    if (argc < 4) die("wanted: load MODE PORT SECRET [options], or load hotp INDEX COUNTER");
    ask.mode = mode_of(argv[1]);
    ask.server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ask.from = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ask.secret = argv[3];
    for (int i = 4; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--unsigned")) {
            ask.signed_replies = false;
            continue;
        }
        if (!strcmp(name, "--users")) ask.users = atol(value);
        else if (!strcmp(name, "--outstanding")) ask.outstanding = atol(value);
        else if (!strcmp(name, "--seconds")) ask.seconds = atof(value);
        else if (!strcmp(name, "--warm-up")) ask.warm_up = atof(value);
        else if (!strcmp(name, "--logins")) ask.most = atol(value);
        else if (!strcmp(name, "--password")) ask.password = value;
        else if (!strcmp(name, "--from")) inet_pton(AF_INET, value, &ask.from.sin_addr);
        else if (!strcmp(name, "--counters")) path = value;
        else die(name);
        i++;
    }
    if (ask.outstanding < 1 || ask.outstanding > MOST_LOGINS || ask.users < 2 * ask.outstanding || ask.users > 9999999)
        die("1 <= outstanding <= 1024, and 2 * outstanding <= users <= 9999999");
    if (ask.seconds <= 0 || strlen(ask.password) > 16) die("seconds > 0, and a password of at most 16 octets");
    counters = map_counters(path);
    busy = calloc((size_t)ask.users, 1), histogram = calloc(SLOWEST, sizeof *histogram);
    if (!busy || !histogram || getrandom(random_state, sizeof random_state, 0) != sizeof random_state) die("memory");
    prepare_secret(&shared, ask.secret);
    run();
    report();
    return count.rejects || count.bad || count.silences || !count.accepts;
}
