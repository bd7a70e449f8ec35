#include "sim/base/output_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <utility>
#include <vector>

namespace kpksim {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as Linux follows
constexpr int kMostNames = 100;
constexpr std::size_t kCopied = 1 << 18;    // bytes at once
constexpr std::size_t kBuffered = 1 << 16;  // of a StreamedFile

[[noreturn]] void fail(const std::string& path, int error) {
  throw OutputError(fmt::format("{}: cannot be written: {}", path, std::strerror(error)));
}

// An open file. close() is where some file systems say that the text did not fit.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  explicit operator bool() const { return number_ >= 0; }
  int operator*() const { return number_; }
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }
  int release() { return std::exchange(number_, -1); }
  // False with errno. Some file systems cannot do it, and say EINVAL.
  bool sync() const { return fsync(number_) == 0 || errno == EINVAL; }

 private:
  int number_;
};

// Ctrl-C between the making of the new file and its renaming would leave it behind: it waits.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&held, signal);
    pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// A descriptor of this process through which the file can be written; -1 if there is none. To
// replace the file behind a redirected standard output would send what is printed later nowhere.
int open_already(const struct stat& file) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), closedir);
  if (folder == nullptr) return -1;
  while (const dirent* entry = readdir(folder.get())) {
    char* end = nullptr;
    const int number = static_cast<int>(std::strtol(entry->d_name, &end, 10));
    struct stat open {};
    if (*end != '\0' || number == dirfd(folder.get()) || fstat(number, &open) != 0) continue;
    const int flags = fcntl(number, F_GETFL);
    if (same_file(open, file) && flags >= 0 && (flags & O_ACCMODE) != O_RDONLY) return number;
  }
  return -1;
}

// The file that `path` names in the end. Not fs::canonical(): it need not exist.
std::string target_of(const std::string& path) {
  fs::path at = path;
  std::error_code none;
  for (int links = 0; fs::is_symlink(at, none); ++links) {
    const fs::path to = fs::read_symlink(at, none);
    if (none || links == kMostLinks) fail(path, none ? none.value() : ELOOP);
    at = to.is_absolute() ? to : at.parent_path() / to;
  }
  return at.string();
}

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// What is at `path`: links are followed. False: nothing, or a link to nothing.
bool look(const std::string& path, struct stat& file) {
  if (stat(path.c_str(), &file) == 0) return true;
  if (errno != ENOENT) fail(path, errno);
  return false;
}

void refuse(const std::string& path, const struct stat& file) {
  if (S_ISDIR(file.st_mode)) fail(path, EISDIR);
  if (S_ISBLK(file.st_mode)) {
    throw OutputError(fmt::format("{}: is a block device; expected a file", path));
  }
  if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) fail(path, errno);
}

// What is written: a text in memory, or all of a file.
struct Content {
  std::string_view text = {};
  int file = -1;  // if it is one

  // -1 with errno.
  off_t size() const {
    struct stat status {};
    if (file < 0) return static_cast<off_t>(text.size());
    return fstat(file, &status) == 0 ? status.st_size : -1;
  }
  // False with errno.
  bool write_to(int to) const {
    if (file < 0) return write_all(to, text);
    std::vector<char> buffer(kCopied);
    for (off_t at = 0;;) {
      const ssize_t n = pread(file, buffer.data(), buffer.size(), at);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n == 0;
      if (!write_all(to, {buffer.data(), static_cast<std::size_t>(n)})) return false;
      at += n;
    }
  }
};

void write_through(const std::string& path, const Descriptor& file, const Content& content) {
  if (!file || !content.write_to(*file)) fail(path, errno);
}

// A file that cannot be replaced. What fails before the first byte leaves the old text whole.
void write_in_place(const std::string& path, const struct stat& old, const Content& content) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) fail(path, errno);
  const off_t size = content.size();
  if (size < 0) fail(path, errno);
  if (size > old.st_size) {
    const int error = posix_fallocate(*file, 0, size);
    if (error != 0) {
      [[maybe_unused]] const int shrunk = ftruncate(*file, old.st_size);
      fail(path, error);
    }
  }
  if (!content.write_to(*file) || ftruncate(*file, size) != 0 || !file.sync() || !file.close()) {
    fail(path, errno);
  }
}

// The new file takes over what users can see of the old one. False if it cannot.
bool take_over(const Descriptor& file, const std::string& from, const struct stat& old) {
  struct stat made {};
  if (fstat(*file, &made) != 0) return false;
  const bool other = made.st_uid != old.st_uid || made.st_gid != old.st_gid;
  if (other && fchown(*file, old.st_uid, old.st_gid) != 0) return false;
  std::vector<char> names(65536), value(65536);  // as much as Linux has
  const ssize_t length = listxattr(from.c_str(), names.data(), names.size());
  for (ssize_t at = 0; at < length;) {
    const std::string name(names.data() + at);
    at += static_cast<ssize_t>(name.size()) + 1;
    const ssize_t size = getxattr(from.c_str(), name.c_str(), value.data(), value.size());
    if (size < 0) return false;
    if (fsetxattr(*file, name.c_str(), value.data(), static_cast<std::size_t>(size), 0) != 0) {
      return false;
    }
  }
  return fchmod(*file, old.st_mode & 07777) == 0;
}

// A new file in `folder`, and its name. Nothing if the folder takes none.
Descriptor make_beside(const std::string& folder, mode_t mode, std::string& name) {
  std::random_device random;
  for (int i = 0; i < kMostNames; ++i) {
    name = fmt::format("{}/.kpksim-{:08x}.tmp", folder, random());
    const int file = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file >= 0 || errno != EEXIST) return Descriptor(file);
  }
  return Descriptor(-1);
}

// False: the old file is as it was, and is better written in place.
bool replace(const std::string& path, const std::string& target, const struct stat* old,
             const Content& content) {
  if (old != nullptr && old->st_nlink > 1) return false;
  const SignalsHeld held;
  std::string temporary;
  // Nobody reads a text along whose own file would not have let them.
  Descriptor file = make_beside(folder_of(target), old != nullptr ? 0600 : 0666, temporary);
  if (!file) {
    if (old != nullptr) return false;
    fail(path, errno);
  }
  const auto give_up = [&](int error) {
    unlink(temporary.c_str());
    fail(path, error);
  };
  if (!content.write_to(*file)) give_up(errno);
  if (old != nullptr && !take_over(file, target, *old)) {
    unlink(temporary.c_str());
    return false;
  }
  if (!file.sync() || !file.close()) give_up(errno);
  if (std::rename(temporary.c_str(), target.c_str()) == 0) return true;
  const int error = errno;
  if (old == nullptr || error != EBUSY) give_up(error);
  unlink(temporary.c_str());
  return false;
}

}  // namespace

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(descriptor, text.data(), text.size());
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void check_writable(const std::string& path) {
  if (path.empty()) fail("''", ENOENT);
  struct stat file {};
  if (look(path, file)) return refuse(path, file);
  const std::string folder = folder_of(target_of(path));
  if (faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) fail(path, errno);
}

namespace {

void write_content(const std::string& path, const Content& content) {
  if (path.empty()) fail("''", ENOENT);
  struct stat old {};
  const bool exists = look(path, old);
  if (exists) {
    if (const int number = open_already(old); number >= 0) {
      if (!content.write_to(number)) fail(path, errno);
      return;
    }
    refuse(path, old);
    if (!S_ISREG(old.st_mode)) {
      Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
      write_through(path, file, content);
      if (!file.close()) fail(path, errno);
      return;
    }
  }
  const std::string target = target_of(path);
  if (!replace(path, target, exists ? &old : nullptr, content)) {
    write_in_place(target, old, content);
  }
}

// Without a name from the beginning, or from at once on.
int nameless_file(const std::string& folder) {
  const int file = open(folder.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  const SignalsHeld held;
  std::string name;
  const int named = make_beside(folder, 0600, name).release();
  if (named >= 0) unlink(name.c_str());
  return named;
}

}  // namespace

void write_file(const std::string& path, std::string_view text) { write_content(path, {text}); }

StreamedFile::StreamedFile(std::string path) : path_(std::move(path)) {
  check_writable(path_);
  file_ = nameless_file(folder_of(target_of(path_)));
  if (file_ < 0) {
    std::error_code none;
    file_ = nameless_file(fs::temp_directory_path(none).string());
  }
  if (file_ < 0) fail(path_, errno);
  buffer_.reserve(kBuffered);
}

StreamedFile::~StreamedFile() {
  if (file_ >= 0) ::close(file_);
}

void StreamedFile::write(std::string_view text) noexcept {
  empty_ = false;
  if (error_ != 0) return;
  if (buffer_.size() + text.size() > kBuffered) flush();
  if (text.size() > kBuffered) {
    if (error_ == 0 && !write_all(file_, text)) error_ = errno;
  } else {
    buffer_.append(text);  // within what is reserved
  }
}

void StreamedFile::flush() noexcept {
  if (error_ == 0 && !write_all(file_, buffer_)) error_ = errno;
  buffer_.clear();
}

void StreamedFile::check() const {
  if (error_ != 0) fail(path_, error_);
}

void StreamedFile::commit() {
  flush();
  check();
  write_content(path_, {{}, file_});
}

}  // namespace kpksim
