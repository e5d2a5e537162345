/* Sends every datagram back to where it came from: what the loopback, the kernel and the generator cost by themselves.
 *
 * It never looks into a packet. Prints the port it was given, then serves until it is told to end (RFC 862, on an ephemeral port).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, DATAGRAM = 4096 };

int main(void) {
    static uint8_t data[BATCH][DATAGRAM];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    static struct sockaddr_in from[BATCH];
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, size) || getsockname(fd, (struct sockaddr *)&here, &size)) {
        perror("echo");
        return 1;
    }
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            pieces[i] = (struct iovec){data[i], DATAGRAM};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &pieces[i], .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++) pieces[i].iov_len = messages[i].msg_len;
        for (int sent = 0, now; sent < count; sent += now)
            if ((now = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0)) <= 0) break;
    }
}
