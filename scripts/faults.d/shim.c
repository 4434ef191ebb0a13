// A library that is loaded before libc's own (LD_PRELOAD) and makes chosen calls of a running `cb` go wrong.
//
// What goes wrong is said in a file of one page that the harness and the process both map (`struct control`, the same
// in shim.py), so that a fault begins and ends while the process runs. Only files below a folder, or the socket to a
// port, are hit. Nothing is hit while `calls` is 0.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, SEND = 8, ANSWER = 16, TALK = 32 };
enum { COUNT = 0, ERRNO = 1, SHORT = 2, KILL_BEFORE = 3, KILL_AFTER = 4, STOP_AFTER = 5 };

struct control {
  _Atomic uint32_t calls;       // which kinds of call are hit
  _Atomic uint32_t mode;        // what happens to them
  _Atomic int32_t error;        // for ERRNO
  _Atomic uint32_t per_million; // how many of them, when `countdown` is 0
  _Atomic int32_t countdown;    // 1: the next one, 2: the one after it …; 0: by chance
  _Atomic uint32_t port;        // for SEND, ANSWER and TALK: the port of the socket's peer
  _Atomic uint32_t random;      // the state of the generator
  _Atomic uint32_t hits;        // how many were hit
  _Atomic int64_t clock;        // nanoseconds that the wall clock is off
  char folder[512];             // for the others: how the path begins
  char suffix[64];              // … and how it ends; empty: anything
};

static struct control *control;
// Sockets on which a COMMIT is under way, so that its answer can be told from others.
static _Atomic uint8_t committing[65536];

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("CB_FAULTS_CONTROL");
  if (!path) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page != MAP_FAILED) control = page;
}

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}
#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))next(#name)

static int ours(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  size_t folder = strlen(control->folder), suffix = strlen(control->suffix);
  return !strncmp(path, control->folder, folder) &&
         ((size_t)length >= suffix && !strcmp(path + length - suffix, control->suffix));
}

static int to_port(int fd) {
  struct sockaddr_in peer;
  socklen_t size = sizeof peer;
  return !getpeername(fd, (struct sockaddr *)&peer, &size) && peer.sin_family == AF_INET &&
         ntohs(peer.sin_port) == control->port;
}

static uint32_t chance(void) {
  uint32_t old = atomic_load(&control->random), x;
  do {
    x = old ? old : 1;
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  } while (!atomic_compare_exchange_weak(&control->random, &old, x));
  return x % 1000000;
}

// Whether this call is the one; whoever gets a yes makes it go wrong.
static int falls(void) {
  int32_t left = atomic_load(&control->countdown);
  int hit = 0;
  if (left > 0)
    hit = atomic_fetch_sub(&control->countdown, 1) == 1;
  else if (left == 0)
    hit = chance() < control->per_million;
  if (!hit) return 0;
  // A countdown falls once; below 0 nothing does.
  if (left > 0) atomic_store(&control->countdown, -1);
  atomic_fetch_add(&control->hits, 1);
  return 1;
}

static int hit(int kind, int fd) {
  return control && (control->calls & kind) && ours(fd) && falls();
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// `call` is the real one, `partly` the same with half of the bytes, where there are any.
#define FAULTY(kind, fd, type, call, partly) \
  do { \
    if (!hit(kind, fd)) return call; \
    uint32_t mode = control->mode; \
    if (mode == ERRNO) { errno = control->error; return (type)-1; } \
    if (mode == SHORT) return partly; \
    if (mode == KILL_BEFORE) die(); \
    type answer = call; \
    int kept = errno; \
    if (mode == KILL_AFTER) die(); \
    if (mode == STOP_AFTER) kill(getpid(), SIGSTOP); \
    errno = kept; \
    return answer; \
  } while (0)

static size_t half(size_t count) { return count > 1 ? count / 2 : count; }

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  REAL(pwrite);
  FAULTY(WRITE, fd, ssize_t, real(fd, bytes, count, at), real(fd, bytes, half(count), at));
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  REAL(pwrite64);
  FAULTY(WRITE, fd, ssize_t, real(fd, bytes, count, at), real(fd, bytes, half(count), at));
}
int fsync(int fd) {
  REAL(fsync);
  FAULTY(SYNC, fd, int, real(fd), real(fd));
}
int fdatasync(int fd) {
  REAL(fdatasync);
  FAULTY(SYNC, fd, int, real(fd), real(fd));
}
int ftruncate(int fd, off_t size) {
  REAL(ftruncate);
  FAULTY(TRUNCATE, fd, int, real(fd, size), real(fd, size));
}
int ftruncate64(int fd, off64_t size) {
  REAL(ftruncate64);
  FAULTY(TRUNCATE, fd, int, real(fd, size), real(fd, size));
}
int posix_fallocate(int fd, off_t at, off_t size) {
  REAL(posix_fallocate);
  if (hit(WRITE, fd) && control->mode == ERRNO) return control->error;
  return real(fd, at, size);
}

// ---- the socket to PostgreSQL ----

static int says_commit(const void *bytes, size_t count) {
  return memmem(bytes, count, "COMMIT", 6) != NULL;
}

// Whether the process must die behind the real call: with SEND it sends a COMMIT here, with TALK anything at all.
static int commits(int fd, const void *bytes, size_t count) {
  if (!control || !(control->calls & (SEND | ANSWER | TALK))) return 0;
  if (!(control->calls & TALK) && !says_commit(bytes, count)) return 0;
  if (!to_port(fd)) return 0;
  if (control->calls & ANSWER) {
    if (fd >= 0 && fd < 65536 && falls()) committing[fd] = 1;
    return 0;
  }
  if (!falls()) return 0;
  if (control->mode == KILL_BEFORE) die();
  return control->mode == KILL_AFTER;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(write);
  if (commits(fd, bytes, count)) {
    real(fd, bytes, count);
    die();
  }
  FAULTY(WRITE, fd, ssize_t, real(fd, bytes, count), real(fd, bytes, half(count)));
}
ssize_t send(int fd, const void *bytes, size_t count, int flags) {
  REAL(send);
  int commit = commits(fd, bytes, count);
  ssize_t answer = real(fd, bytes, count, flags);
  if (commit) die();
  return answer;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  int commit = 0;
  for (int at = 0; at < count && !commit; at++) commit = commits(fd, parts[at].iov_base, parts[at].iov_len);
  ssize_t answer = real(fd, parts, count);
  if (commit) die();
  return answer;
}
ssize_t recv(int fd, void *bytes, size_t count, int flags) {
  REAL(recv);
  ssize_t answer = real(fd, bytes, count, flags);
  if (answer > 0 && fd >= 0 && fd < 65536 && committing[fd]) die();
  return answer;
}
ssize_t read(int fd, void *bytes, size_t count) {
  REAL(read);
  ssize_t answer = real(fd, bytes, count);
  if (answer > 0 && fd >= 0 && fd < 65536 && committing[fd]) die();
  return answer;
}

// ---- the clock ----

static int64_t off(void) { return control ? atomic_load(&control->clock) : 0; }

int clock_gettime(clockid_t which, struct timespec *now) {
  REAL(clock_gettime);
  int answer = real(which, now);
  int64_t by = off();
  if (!answer && by && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
    int64_t at = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + by;
    now->tv_sec = at / 1000000000;
    now->tv_nsec = at % 1000000000;
  }
  return answer;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  REAL(gettimeofday);
  int answer = real(now, zone);
  if (!answer) now->tv_sec += off() / 1000000000;
  return answer;
}
time_t time(time_t *kept) {
  REAL(time);
  time_t now = real(NULL) + off() / 1000000000;
  if (kept) *kept = now;
  return now;
}
