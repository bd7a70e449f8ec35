#pragma once
// A naive reference of what a program of a workload's operations may do: which pages each process
// has, and with which rights. It decides which accesses succeed, and whether a program is benign,
// which is: the kernel refuses nothing of what it asks for. It knows nothing of page tables.
//
// What is not benign by this reference may be so on a real kernel: it takes what it is sure of.

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "sim/base/types.h"

namespace kpksim::fuzz {

using Json = nlohmann::ordered_json;  // an operation as workload JSON, with sizes in bytes

inline std::string text_in(const Json& op, const char* key) { return op.value(key, std::string()); }
inline std::uint64_t number_in(const Json& op, const char* key) {
  return op.value(key, std::uint64_t{0});
}
inline bool flag_in(const Json& op, const char* key) { return op.value(key, false); }

// What a kernel or a machine has that operations ask for.
struct Abilities {
  unsigned cores = 1;
  bool guard_pages = false;  // MADV_GUARD_INSTALL
  // Cores run at once: threads of a process then have only the order that
  // sim/workload/order.h gives them.
  bool interleave = false;
};

// Of a page of a region.
enum PageFlags : std::uint8_t {
  kMapped = 1,
  kReadable = 2,
  kWritable = 4,
  kExecutable = 8,
  kLocked = 16,
  kGuarded = 32,
  kNotForked = 64,
  kUsed = 128  // there are tables for it
};

struct Region {
  std::vector<std::uint8_t> pages;  // flags
  bool shared = false, in_memory = false, heap = false, hugetlb = false;
  bool never_huge = false;        // its pages have last-level tables
  std::string file = {};          // empty: anonymous
  std::uint64_t file_offset = 0;  // in pages
  bool one_vma = true;            // nothing has cut it

  std::uint64_t bytes() const { return pages.size() * kPageSize; }
  bool private_anonymous() const { return file.empty() && !shared; }
};

struct AddressSpace {
  std::map<std::string, Region> regions;
  bool locks_future = false;  // MCL_FUTURE
  bool had_threads = false;
};

struct Task {
  std::shared_ptr<AddressSpace> space;
  std::string leader;
  std::string parent = {};  // who waits for it; empty: nobody
  bool exited = false;
  std::string vfork_child = {};  // it stands still until that one execs or exits
  std::shared_ptr<std::set<int>> descriptors = std::make_shared<std::set<int>>();

  bool runs() const { return !exited && vfork_child.empty(); }
};

class Reference {
 public:
  explicit Reference(const Abilities& abilities) : abilities_(abilities) {}

  // The next operation of the program. False: it is not benign, and nothing has changed.
  bool take(const Json& op);

  const std::map<std::string, Task>& tasks() const { return tasks_; }
  // Of vmalloc and vm_map_ram: which of the two.
  const std::map<std::string, std::string>& kernel_regions() const { return kernel_; }
  // Of an access to a page: nullopt if that is not known.
  enum class Access : std::uint8_t { kDone, kRefused, kUnknown };
  Access access(const Region& region, std::uint64_t page, std::uint8_t right) const;
  // Pages that processes have, each counted by itself.
  std::uint64_t mapped_pages() const;

 private:
  struct Range {
    Region* region = nullptr;
    std::uint64_t first = 0, end = 0;  // pages
  };
  using Take = bool (Reference::*)(const Json&);
  static const std::map<std::string, Take>& operations();

  Task* running(const Json& op);
  // The part of a region that `op` is about; `whole`: all of it is mapped. nullopt: there is none.
  bool find(const Json& op, Range& out, bool whole);
  static bool all(const Range& range, std::uint8_t flags);
  static bool any(const Range& range, std::uint8_t flags);
  static void change(const Range& range, std::uint8_t clear, std::uint8_t set);
  bool name_is_free(const std::string& region) const;
  bool task_is_free(const Json& op) const;
  void release_vfork(const std::string& child);
  // Another thread may be at work on the address space: what is about all of it comes out one way
  // or another.
  bool races(const Task& task) const { return abilities_.interleave && task.space->had_threads; }

  bool spawn(const Json& op);
  bool fork(const Json& op);
  bool vfork(const Json& op);
  bool clone(const Json& op);
  bool exec(const Json& op);
  bool exit(const Json& op);
  bool wait(const Json& op);
  bool scheduled(const Json& op);
  bool migrate(const Json& op);
  bool syscall(const Json& op);
  bool descriptor(const Json& op);

  bool mmap(const Json& op);
  bool munmap(const Json& op);
  bool mprotect(const Json& op);
  bool madvise(const Json& op);
  bool mlock(const Json& op);
  bool munlock(const Json& op);
  bool mlockall(const Json& op);
  bool munlockall(const Json& op);
  bool mremap(const Json& op);
  bool brk(const Json& op);
  bool touch(const Json& op);
  bool stray_store(const Json& op);
  bool punch_hole(const Json& op);
  bool truncate(const Json& op);

  bool kernel_map(const Json& op);
  bool kernel_unmap(const Json& op);
  bool whole_kernel(const Json& op);
  bool nr_hugepages(const Json& op);
  bool fragment(const Json& op);
  bool unfragment(const Json& op);

  std::uint64_t hugetlb_pages() const;
  bool reserve(std::uint64_t huge_pages);

  const Abilities abilities_;
  std::map<std::string, Task> tasks_;
  std::set<std::string> tasks_so_far_, regions_so_far_;
  std::map<std::string, std::string> kernel_;
  std::uint64_t kernel_pages_ = 0, reserved_ = 0;  // small pages; huge pages of 2 MB
  std::uint64_t ever_huge_ = 0;                    // of these, what has ever been mapped
  std::map<std::string, bool> in_memory_;          // files
  std::map<std::string, std::uint64_t> ends_;      // of files that were cut, in pages
  bool fragmented_ = false;
};

}  // namespace kpksim::fuzz
