/* Stands for syslog: takes every datagram from a Unix socket, and says at the end how many there were.
 *
 * It keeps nothing and never answers. It is in C so that receiving costs the machine less than sending (unix(7), recvmmsg(2)).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM = 4096 };

static volatile sig_atomic_t ended;

static void end(int signal) {
    (void)signal;
    ended = 1;
}

int main(int count, char **words) {
    static char data[BATCH][DATAGRAM];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    struct sigaction on_end = {.sa_handler = end}; /* no SA_RESTART: a waiting recvmmsg ends too */
    long lines = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (count != 2 || strlen(words[1]) >= sizeof here.sun_path) return 2;
    strcpy(here.sun_path, words[1]);
    sigaction(SIGTERM, &on_end, NULL);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here)) {
        perror("drain");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){data[i], DATAGRAM};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    while (!ended) {
        int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (got > 0) lines += got;
    }
    for (int got; (got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL)) > 0;) lines += got;
    printf("%ld\n", lines);
    unlink(words[1]);
    return 0;
}
