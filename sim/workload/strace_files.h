#pragma once
// Which file each descriptor of a trace stands for, and what the calls say of that file: how much
// of it exists, and whether its pages did before the recording.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kpksim::workload {

struct StraceFile {
  std::string path;          // or what it was made as, if it has none
  std::uint32_t id = 0;      // Operation::file_id; 0 until it is mapped
  std::uint32_t number = 0;  // Call::file, from 1 on
  // It was empty when the recording first opened it: no page of it is in the page cache but those
  // that calls have written.
  bool fresh = false;
  bool memory = false;                // of tmpfs, memfd or System V: never on a disk
  bool removed = false;               // no name leads to it
  unsigned opened = 0;                // by so many opens whose descriptors are not closed
  bool told = false;                  // the kernel model knows its length
  std::uint64_t huge_page = 0;        // of hugetlbfs: bytes of its pages
  std::uint32_t process = 0;          // of a pidfd: whose
  std::optional<std::uint64_t> size;  // in bytes, as far as calls have shown it
  std::uint64_t written_end = 0;      // of a fresh file: behind what calls have written
  bool holes = false;                 // ftruncate() has made it larger, or it has few blocks
  std::uint64_t filled_end = 0;       // then: behind what has data or blocks of its own

  // Whether a new mapping from `offset` on finds pages in the page cache.
  bool cached(std::uint64_t offset) const { return !fresh || offset < written_end; }
  // How many of `length` bytes from `offset` on exist; accesses behind them are SIGBUS.
  std::uint64_t exists(std::uint64_t offset, std::uint64_t length) const;
  // And how many of them have data; the rest is a hole that ftruncate() has made.
  std::uint64_t filled(std::uint64_t offset, std::uint64_t length) const;

  // Nobody can reach it but through its mappings: its pages go with the last of them.
  bool forgotten() const { return removed && opened == 0 && id != 0; }
  void grow(std::uint64_t to);
  void truncate(std::uint64_t to);
};

// The files of all tasks: one for each path, until that stands for another.
class StraceFileSystem {
 public:
  StraceFile& at(const std::string& path);  // made known if it is not
  StraceFile* find(std::string_view path);
  // An empty file, which takes the path's place.
  StraceFile& create(const std::string& path);
  // One without a path.
  StraceFile& unnamed(const std::string& what);
  void remove(const std::string& path);
  void rename(const std::string& from, const std::string& to);

 private:
  std::deque<StraceFile> files_;  // their addresses stay
  std::map<std::string, StraceFile*, std::less<>> by_path_;
};

// A table of open files, shared by the threads of a group.
class StraceFiles {
 public:
  // `empty`: it has no data yet, or what is written goes behind them.
  void open(int descriptor, StraceFile& file, bool close_on_exec, bool empty);
  void close(int descriptor) { open_.erase(descriptor); }
  void close_range(int first, int last);
  void duplicate(int from, int to, bool close_on_exec);
  void set_close_on_exec(int descriptor, bool on);
  void executed();  // execve: what is marked close-on-exec goes
  StraceFile* file(int descriptor) const;
  // The files that nobody can open any more when this table goes.
  std::vector<StraceFile*> last() const;
  // So many bytes are read or written where the descriptor stands, or at an offset. Written ones
  // may be behind the end: how many pages that makes, which the file did not have.
  void read(int descriptor, std::uint64_t bytes);
  std::uint64_t write(int descriptor, std::uint64_t bytes, std::optional<std::uint64_t> offset);
  // Where the descriptor stands; 0 if that is not known.
  std::uint64_t position(int descriptor) const;
  void seek(int descriptor, std::uint64_t to);
  void truncate(int descriptor, std::uint64_t to);

 private:
  // What an open has made; descriptors that were duplicated, and those of children, share it.
  struct Opened {
    Opened(StraceFile& of, bool is_empty) : file(&of), empty(is_empty) { ++of.opened; }
    ~Opened() { --file->opened; }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    StraceFile* file;
    bool empty;                 // at the start
    std::uint64_t end = 0;      // of what has been written since
    std::uint64_t written = 0;  // where the next write goes, seen from the start
    std::uint64_t position = 0;
  };
  struct Descriptor {
    std::shared_ptr<Opened> opened;
    bool close_on_exec = false;
  };
  Opened* opened(int descriptor) const;

  std::map<int, Descriptor> open_;
};

// "/a/b" without its quotes, and without the dots behind a string that was cut.
std::string quoted(std::string_view text);

}  // namespace kpksim::workload
