#pragma once
// One address space as far as a trace shows it, and the touching rule applied to it: what was
// mapped and may be touched, what was written and would be copied after a fork.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "sim/workload/strace.h"
#include "sim/workload/strace_files.h"
#include "sim/workload/strace_written.h"

namespace kpksim::workload {

// glibc's mmap threshold: larger requests are mappings of their own.
inline constexpr std::uint64_t kLargeRequest = 128 << 10;

struct PageTouch {
  std::uint64_t address = 0, length = 0, stride = 4096;
  bool write = false;
};

// A mapping or a part of one; [start, end), page-aligned.
struct StraceArea {
  std::uint64_t start = 0, end = 0;
  std::uint8_t prot = 0;
  bool file = false, shared = false;
  bool stack = false;               // MAP_STACK: touched by its thread
  bool heap = false;                // added by brk
  bool program = false;             // of the program that execve maps, or of its linker
  bool all = false;                 // text that is read in full
  bool zero = false;                // zeroed memory behind a file's data
  bool loaded = true;               // by the dynamic linker, which looks into its data first
  bool fixed = false;               // data of a program that is not relocated
  bool cleared = false;             // data whose last page is zeroed behind its end before all else
  bool reserve = false;             // MAP_NORESERVE: of its size the kernel takes no account
  bool dont_fork = false;           // MADV_DONTFORK
  bool wipe_on_fork = false;        // MADV_WIPEONFORK
  bool guard = false;               // MADV_GUARD_INSTALL
  std::uint64_t huge_page = 0;      // MAP_HUGETLB: bytes of its pages
  std::uint64_t read_only_end = 0;  // of data: what is before it will become read-only; 0: unknown
  bool whole = true;                // nothing was cut off since it was mapped
  std::uint32_t made_in = 0;        // which mapping first had these addresses; 0: none yet
  bool part = false;                // of what that mapping had reserved: taken into use later
  StraceFile* backing = nullptr;    // of a file mapping
  std::uint64_t bias = 0;           // offset in the file less the address, modulo 2^64

  std::uint64_t offset_of(std::uint64_t address) const { return address + bias; }
};

class StraceSpace {
 public:
  explicit StraceSpace(const TouchRule& rule) : rule_(rule), family_(std::make_shared<int>(0)) {}

  // What a successful call changes. Touches come later, from settle().
  void map(StraceArea area);
  void unmap(std::uint64_t start, std::uint64_t end);
  void protect(std::uint64_t start, std::uint64_t end, std::uint8_t prot);
  void move(std::uint64_t from, std::uint64_t length, std::uint64_t to, std::uint64_t new_length);
  // A further mapping of what is mapped at `from`; with `empties` the pages are no longer there.
  void duplicate(std::uint64_t from, std::uint64_t to, std::uint64_t length, bool empties);
  void discard(std::uint64_t start, std::uint64_t end) { forget(start, end); }
  void wrote(std::uint64_t start, std::uint64_t end) { written_.add(start, end); }
  // The kernel brings the pages of [start, end), as far as they exist: nothing is left to touch.
  void populated(std::uint64_t start, std::uint64_t end);
  void mark(std::uint64_t start, std::uint64_t end, bool StraceArea::*flag, bool on);
  // Guard pages: every access to them is a fault that ends the program.
  void guard(std::uint64_t start, std::uint64_t end, bool install);
  bool knows(std::uint64_t address) const { return find(address) != nullptr; }
  // The mapping at `address`; nullptr: none is known.
  const StraceArea* find(std::uint64_t address) const;
  // The known mappings within [start, end), cut to it.
  std::vector<StraceArea> within(std::uint64_t start, std::uint64_t end) const;
  // The largest part that maps something of [first, last) of a file; nullopt: none does.
  std::optional<StraceArea> mapped(const StraceFile& file, std::uint64_t first,
                                   std::uint64_t last) const;
  // [start, end) is the rest of an object that a loader maps: directly behind the object's data, in
  // the range that the loader had reserved for all of it.
  bool continues_data(std::uint64_t start, std::uint64_t end) const;
  // A mapping that was made for use, not a part that a loader cuts off again.
  bool waits_whole(std::uint64_t start, std::uint64_t end) const;

  // The touches of all mappings made since the last time.
  std::vector<PageTouch> settle();
  // The pages of [start, end) that were written: who frees them, walks over them again.
  std::vector<PageTouch> walk(std::uint64_t start, std::uint64_t end) const;
  // Its program ends.
  std::vector<PageTouch> finish();
  // A fork has been: what was written may be copied, and a child has no entries for text. Returns
  // what is touched again at once; go_on() returns what each further call is followed by.
  std::vector<PageTouch> forked(bool child);
  std::vector<PageTouch> go_on();
  // Pages that incoming data goes to.
  std::vector<PageTouch> random(unsigned n, std::mt19937_64& source) const;
  // So many bytes were read into a buffer that is too large for the heap: the newest large mapping.
  void read_into_large(std::uint64_t bytes, std::vector<PageTouch>& out);
  // [start, end) is given back: it had been used, all of it; or of large mappings (with `whole`,
  // those that end with it) a part.
  void use_up(std::uint64_t start, std::uint64_t end, std::vector<PageTouch>& out);
  void use_up_large(std::uint64_t start, std::uint64_t end, bool whole,
                    std::vector<PageTouch>& out);

  // What the size of the mapping says nothing of: see TouchRule::reserve_mb.
  bool reservation(const StraceArea& area) const;

  // A copy of it, by fork, is alive (or it is such a copy and others live).
  bool has_copies() const { return family_.use_count() > 1; }

  std::uint64_t brk = 0;
  bool no_huge_pages = false;  // PR_SET_THP_DISABLE
  bool locks_all = false;      // MCL_FUTURE: the kernel brings what is mapped
  // Its last memory call gave back private memory: it is freeing what it has.
  bool frees = false;
  // The current turn of its tasks, not yet among the workload's steps.
  std::vector<Operation> turn;
  unsigned turn_calls = 0;

 private:
  // A large mapping or the newest piece of the heap: what is written of [next, end) shows later.
  struct Open {
    std::uint64_t start = 0, next = 0, end = 0;
    std::uint64_t length = 0;  // as it was mapped
    std::uint32_t made_in = 0;
    bool part = false;
  };
  // Opens it: its first pages are written.
  Open open(const StraceArea& area, std::vector<PageTouch>& out);
  // Writes this share of what is left; nothing more shows.
  // What an open one is filled with, by hundredths, when `area` is mapped after it.
  unsigned filled_by(const Open& before, const StraceArea& area) const;
  void fill(Open& open, unsigned percent, std::vector<PageTouch>& out);
  void settle(StraceArea area, std::vector<PageTouch>& out);
  void write(const StraceArea& area, std::uint64_t end, std::vector<PageTouch>& out);
  // Touches the next n.
  void again(std::vector<std::uint64_t>& left, std::uint64_t n, bool write,
             std::vector<PageTouch>& out) const;
  std::vector<PageTouch> run_on();  // what a fork or a forked child's own end is followed by
  void inherit();
  unsigned heap_percent() const;  // of what was used up
  void write_heap(const StraceArea& area, std::vector<PageTouch>& out);
  void forget(std::uint64_t start, std::uint64_t end);
  void close(std::uint64_t start, std::uint64_t end);
  void split(std::uint64_t at);
  void read_text(const StraceArea& area, std::vector<PageTouch>& out);
  void write_data(const StraceArea& area, std::vector<PageTouch>& out);
  static void cut(std::vector<StraceArea>& areas, std::uint64_t start, std::uint64_t end);

  TouchRule rule_;
  std::map<std::uint64_t, StraceArea> areas_;  // by end
  std::vector<StraceArea> waiting_;            // mapped, not yet touched
  std::vector<Open> large_;
  std::uint64_t largest_ = 0;  // that was mapped at once and is no reservation
  Open heap_;
  // Since the last fork: pages that were written and windows of text that were read, to be touched
  // again, the next one last; and hundredths of one that are due.
  std::vector<std::uint64_t> to_write_, to_read_;
  unsigned write_due_ = 0, read_due_ = 0;
  bool child_ = false;                        // of a fork, in the program that forked
  unsigned growths_ = 0, large_growths_ = 0;  // of the heap, after its first piece
  std::vector<std::uint64_t> text_read_;      // one address in each window that was read
  WrittenPages written_;                      // private: copied after a fork
  WrittenPages written_shared_;
  std::uint32_t mappings_ = 0;   // made so far
  std::shared_ptr<int> family_;  // shared by the copies of a fork
};

}  // namespace kpksim::workload
