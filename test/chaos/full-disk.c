/*
 * Loaded into Postgres (LD_PRELOAD) to fill its disk: while the file FULL_DISK_FLAG is there, whatever would make a file
 * below FULL_DISK_FOLDER grow fails with ENOSPC, and what is overwritten in place succeeds, as on a full file system.
 * Each refusal adds a byte to the file FULL_DISK_REFUSALS.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

static int lies_in_folder(int fd) {
  const char *folder = variable("FULL_DISK_FOLDER");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0 || *folder == '\0') return 0;
  path[length] = '\0';
  return strncmp(path, folder, strlen(folder)) == 0;
}

/* True where the file would have to be longer than it is, and there is no room. Keeps errno where it is not so. */
static int has_no_room(int fd, off_t end) {
  int before = errno;
  struct stat file;
  int refused = fd > 2 && access(variable("FULL_DISK_FLAG"), F_OK) == 0 && fstat(fd, &file) == 0 &&
                S_ISREG(file.st_mode) && end > file.st_size && lies_in_folder(fd);
  if (refused) {
    int refusals = open(variable("FULL_DISK_REFUSALS"), O_WRONLY | O_APPEND);
    if (refusals >= 0) {
      syscall(SYS_write, refusals, ".", 1);
      close(refusals);
    }
  }
  errno = refused ? ENOSPC : before;
  return refused;
}

/* Where the next write ends; 0 for what has no position, such as a socket. */
static off_t end_of_write(int fd, size_t count) {
  int before = errno;
  struct stat file;
  off_t at = lseek(fd, 0, SEEK_CUR);
  if (at >= 0 && (fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &file) == 0) at = file.st_size;
  errno = before;
  return at < 0 ? 0 : at + (off_t)count;
}

static size_t length_of(const struct iovec *parts, int count) {
  size_t length = 0;
  for (int part = 0; part < count; part++) length += parts[part].iov_len;
  return length;
}

#define ORIGINAL(name)                                   \
  static __typeof__(&name) original;                     \
  if (!original) original = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count) {
  ORIGINAL(write);
  return fd > 2 && has_no_room(fd, end_of_write(fd, count)) ? -1 : original(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  ORIGINAL(writev);
  return fd > 2 && has_no_room(fd, end_of_write(fd, length_of(parts, count))) ? -1 : original(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  ORIGINAL(pwrite);
  return has_no_room(fd, at + (off_t)count) ? -1 : original(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  ORIGINAL(pwrite64);
  return has_no_room(fd, at + (off_t)count) ? -1 : original(fd, bytes, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  ORIGINAL(pwritev);
  return has_no_room(fd, at + (off_t)length_of(parts, count)) ? -1 : original(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  ORIGINAL(pwritev64);
  return has_no_room(fd, at + (off_t)length_of(parts, count)) ? -1 : original(fd, parts, count, at);
}

int posix_fallocate(int fd, off_t at, off_t length) {
  ORIGINAL(posix_fallocate);
  return has_no_room(fd, at + length) ? ENOSPC : original(fd, at, length);
}

int posix_fallocate64(int fd, off64_t at, off64_t length) {
  ORIGINAL(posix_fallocate64);
  return has_no_room(fd, at + length) ? ENOSPC : original(fd, at, length);
}
