#pragma once
// Files that are written: whole, or not at all, and what was there keeps its place.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kpksim {

// Output that could not be written. app/ alone catches it and exits with 3.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Writes `text` to `path`, to disk. OutputError names the path and the reason.
//
// A regular file is replaced at once by a new one, made beside it under a name that nothing else
// has: a reader sees the old text or the new one, and two writers do not meet. Owner, mode and
// extended attributes (ACLs) stay. A symbolic link stays too: its target is the file, also one that
// does not exist yet. Where a new file cannot take the old one's place (other names for it, an
// owner who cannot be kept, a folder where nothing may be made, a mount point), it is written in
// place, after room for all of it was set aside. What is no regular file (a fifo, a terminal) is
// written through, and so is a file that this process has open for writing, such as the target of
// /dev/stdout. A folder, a block device and a file that may not be written are refused.
void write_file(const std::string& path, std::string_view text);

// A long text on its way to a file, of which memory holds a part alone. It lies in a file without a
// name, beside `path` if that folder takes one, else where temporary files go: whatever ends the
// process leaves nothing behind. `path` is what it was until commit().
class StreamedFile {
 public:
  explicit StreamedFile(std::string path);
  ~StreamedFile();
  StreamedFile(const StreamedFile&) = delete;
  StreamedFile& operator=(const StreamedFile&) = delete;

  // Never throws: who writes may be where nothing can be thrown. After an error the rest is
  // dropped.
  void write(std::string_view text) noexcept;
  // OutputError if something could not be written so far.
  void check() const;
  bool empty() const { return empty_; }
  // Puts it all to `path`, as write_file() does.
  void commit();

 private:
  void flush() noexcept;

  const std::string path_;
  std::string buffer_;
  int file_ = -1;
  int error_ = 0;
  bool empty_ = true;
};

// OutputError if write_file() would fail for a reason that shows before: no such folder, no
// permission. So that work is not done for nothing.
void check_writable(const std::string& path);

// Writes all of `text` to an open file; false with errno otherwise.
bool write_all(int descriptor, std::string_view text);

}  // namespace kpksim
