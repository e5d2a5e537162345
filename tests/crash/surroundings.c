/* What a program believes of its disk and its clock, made to fail on demand: a library for LD_PRELOAD.
 *
 * It watches the files of one folder and nothing else. On orders from the board, a file that the test maps too, it lets
 * writes, syncs and opens fail, makes syncs slow and sets the clock; and it writes down every change to those files and
 * every datagram, in the order in which they happened. It never touches what is not in that folder, and CLOCK_MONOTONIC.
 * fsync(2), write(2) and ld.so(8) say what is imitated; no RFC speaks here. Its other half is surroundings.py.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITING, SYNCING, OPENING, ACTS };
enum { A_FILE = 1, A_FOLDER = 2, FILES = 4096 };

struct fault {
    int32_t error;  /* what errno becomes; 0: all is well */
    int32_t after;  /* so many calls still go well */
    int32_t count;  /* so many fail then; -1: all, until lifted */
    int32_t failed; /* so many have failed */
};

struct board {
    int64_t clock;      /* nanoseconds by which the clock is ahead */
    int64_t sync_takes; /* nanoseconds more than a sync takes anyway */
    struct fault fault[ACTS];
};

struct record {
    uint32_t kind;
    uint32_t length;
    uint64_t file;
    uint64_t offset;
};

static struct board nothing_wrong;
static struct board *board = &nothing_wrong;
static char folder[4096];
static size_t folder_length;
static int recorder = -1;
static char watched[FILES];

#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SURROUNDINGS_FOLDER");
    if (path == NULL || strlen(path) >= sizeof folder) return;
    strcpy(folder, path);
    folder_length = strlen(folder);
    int shared = (int)syscall(SYS_openat, AT_FDCWD, getenv("SURROUNDINGS_BOARD"), O_RDWR | O_CLOEXEC);
    void *at = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (at == MAP_FAILED) abort();
    board = at;
    syscall(SYS_close, shared);
    path = getenv("SURROUNDINGS_RECORD");
    if (path != NULL) recorder = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* --- what was done, in order ---------------------------------------------------------------------------------- */

static void note(char kind, uint64_t file, uint64_t offset, const struct iovec *parts, int count)
{
    if (recorder < 0) return;
    int before = errno;
    struct iovec all[17];
    struct record record = {(uint32_t)kind, 0, file, offset};
    all[0] = (struct iovec){&record, sizeof record};
    if (count > 16) abort();
    for (int at = 0; at < count; at++) {
        all[at + 1] = parts[at];
        record.length += (uint32_t)parts[at].iov_len;
    }
    /* one call, so that two processes never mix: O_APPEND */
    if (syscall(SYS_writev, recorder, all, count + 1) != (long)(sizeof record + record.length)) abort();
    errno = before;
}

static void note_text(char kind, uint64_t file, uint64_t offset, const void *text, size_t length)
{
    struct iovec part = {(void *)text, length};
    note(kind, file, offset, &part, 1);
}

static uint64_t number_of(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 ? about.st_ino : 0;
}

static int is_watched(int fd) { return fd >= 0 && fd < FILES && watched[fd]; }

static int lies_within(const char *path)
{
    size_t length = strlen(path);
    /* the index of the write-ahead log is made anew after a crash, and never restored */
    if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return 0;
    return folder_length && strncmp(path, folder, folder_length) == 0 && (path[folder_length] == '/' || !path[folder_length]);
}

/* --- what goes wrong ------------------------------------------------------------------------------------------- */

static int goes_wrong(int act)
{
    struct fault *fault = &board->fault[act];
    if (fault->error == 0 || fault->count == 0) return 0;
    if (fault->after > 0) {
        fault->after--;
        return 0;
    }
    if (fault->count > 0) fault->count--;
    fault->failed++;
    errno = fault->error;
    return 1;
}

/* --- files ----------------------------------------------------------------------------------------------------- */

static int opened(const char *path, int flags, int existed, int fd)
{
    if (fd >= 0 && fd < FILES) {
        watched[fd] = strcmp(path, folder) == 0 ? A_FOLDER : A_FILE;
        note_text('O', number_of(fd), (flags & O_CREAT) && !existed, path, strlen(path));
    }
    return fd;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; \
        va_end(rest); \
        if (!lies_within(path)) return real(path, flags, mode); \
        if ((flags & O_ACCMODE) != O_RDONLY && goes_wrong(OPENING)) return -1; \
        int existed = access(path, F_OK) == 0; \
        return opened(path, flags, existed, real(path, flags, mode)); \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    REAL(close);
    if (fd >= 0 && fd < FILES) watched[fd] = 0;
    return real(fd);
}

#define WRITE_AT(name, offset_t) \
    ssize_t name(int fd, const void *from, size_t length, offset_t offset) \
    { \
        REAL(name); \
        if (!is_watched(fd)) return real(fd, from, length, offset); \
        if (goes_wrong(WRITING)) return -1; \
        ssize_t written = real(fd, from, length, offset); \
        if (written > 0) note_text('W', number_of(fd), (uint64_t)offset, from, (size_t)written); \
        return written; \
    }
WRITE_AT(pwrite, off_t)
WRITE_AT(pwrite64, off64_t)

ssize_t write(int fd, const void *from, size_t length)
{
    REAL(write);
    if (!is_watched(fd)) return real(fd, from, length);
    if (goes_wrong(WRITING)) return -1;
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t written = real(fd, from, length);
    if (written > 0) note_text('W', number_of(fd), (uint64_t)offset, from, (size_t)written);
    return written;
}

#define TRUNCATE(name, offset_t) \
    int name(int fd, offset_t length) \
    { \
        REAL(name); \
        if (!is_watched(fd)) return real(fd, length); \
        if (goes_wrong(WRITING)) return -1; \
        int done = real(fd, length); \
        if (done == 0) note_text('T', number_of(fd), (uint64_t)length, "", 0); \
        return done; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name) \
    int name(int fd) \
    { \
        REAL(name); \
        if (!is_watched(fd)) return real(fd); \
        if (board->sync_takes) { \
            struct timespec pause = {board->sync_takes / 1000000000, board->sync_takes % 1000000000}; \
            nanosleep(&pause, NULL); \
        } \
        if (goes_wrong(SYNCING)) { \
            note_text('F', number_of(fd), 0, "", 0); \
            return -1; \
        } \
        int done = real(fd); \
        if (done == 0) note_text('S', number_of(fd), 0, "", 0); \
        return done; \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path)
{
    REAL(unlink);
    if (!lies_within(path)) return real(path);
    if (goes_wrong(WRITING)) return -1;
    int done = real(path);
    if (done == 0) note_text('U', 0, 0, path, strlen(path));
    return done;
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    if (!lies_within(from)) return real(from, to);
    if (goes_wrong(WRITING)) return -1;
    int done = real(from, to);
    struct iovec names[] = {{(void *)from, strlen(from) + 1}, {(void *)to, strlen(to)}};
    if (done == 0) note('R', 0, 0, names, 2);
    return done;
}

/* --- what leaves: noted before it does, so that no Accept is ever on its way unnoted ---------------------------- */

static int is_for_a_nas(const struct sockaddr *to) { return to != NULL && (to->sa_family == AF_INET || to->sa_family == AF_INET6); }

ssize_t sendto(int fd, const void *from, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
    REAL(sendto);
    if (is_for_a_nas(to)) note_text('D', 0, 0, from, length);
    return real(fd, from, length, flags, to, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    REAL(sendmsg);
    if (is_for_a_nas(message->msg_name)) note('D', 0, 0, message->msg_iov, (int)message->msg_iovlen);
    return real(fd, message, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
    REAL(sendmmsg);
    for (unsigned int at = 0; at < count; at++) {
        struct msghdr *message = &messages[at].msg_hdr;
        if (is_for_a_nas(message->msg_name)) note('D', 0, 0, message->msg_iov, (int)message->msg_iovlen);
    }
    return real(fd, messages, count, flags);
}

/* --- the clock on the wall, also that of the kernel, where it says when a datagram came -------------------------- */

static void set_ahead(struct timespec *at)
{
    int64_t moment = at->tv_sec * 1000000000LL + at->tv_nsec + board->clock;
    at->tv_sec = moment / 1000000000LL;
    at->tv_nsec = moment % 1000000000LL;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    REAL(clock_gettime);
    int done = real(clock, at);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) set_ahead(at);
    return done;
}

time_t time(time_t *to)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (to != NULL) *to = at.tv_sec;
    return at.tv_sec;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone)
{
    (void)zone;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    to->tv_sec = at.tv_sec;
    to->tv_usec = at.tv_nsec / 1000;
    return 0;
}

static void date(struct msghdr *message)
{
    for (struct cmsghdr *one = CMSG_FIRSTHDR(message); one != NULL; one = CMSG_NXTHDR(message, one))
        if (one->cmsg_level == SOL_SOCKET && one->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(one), sizeof at);
            set_ahead(&at);
            memcpy(CMSG_DATA(one), &at, sizeof at);
        }
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    REAL(recvmsg);
    ssize_t done = real(fd, message, flags);
    if (done >= 0) date(message);
    return done;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, struct timespec *patience)
{
    REAL(recvmmsg);
    int done = real(fd, messages, count, flags, patience);
    for (int at = 0; at < done; at++) date(&messages[at].msg_hdr);
    return done;
}
