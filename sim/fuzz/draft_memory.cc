// What a task does to its memory.

#include <algorithm>

#include "sim/fuzz/draft.h"

namespace kpksim::fuzz {
namespace {

constexpr std::uint64_t kMostAccesses = 600;

}  // namespace

void Draft::memory() {
  if (task().space->regions.empty() || dice_.one_in(7)) return map();
  region_ = dice_.element(task().space->regions).first;
  switch (dice_.below(12)) {
    case 0:
      add(part("munmap", dice_.one_in(2)));
      break;
    case 1: {
      Json op = part("mprotect");
      op["prot"] = dice_.of({"none", "r", "rw", "rw", "rx"});
      add(op);
      break;
    }
    case 2:
    case 3:
      return advise();
    case 4:
      return lock();
    case 5:
      return remap();
    case 6:
      return file();
    default:
      return touch();
  }
}

std::uint64_t Draft::size() {
  return kPageSize *
         dice_.of<std::uint64_t>({1, 2, 7, 16, 64, 128, 256, 512, 513, 1024, 2048, 4096});
}

void Draft::map() {
  if (dice_.one_in(8)) {
    const auto& regions = task().space->regions;
    const auto heap = std::find_if(regions.begin(), regions.end(),
                                   [](const auto& entry) { return entry.second.heap; });
    Json op = {{"op", "brk"},
               {"task", task_},
               {"region", heap == regions.end() ? new_region() : heap->first},
               {"size", size()}};
    if (dice_.one_in(3)) op["shrink"] = true;
    add(op);
    return;
  }
  Json op = {{"op", "mmap"}, {"task", task_}, {"region", new_region()}, {"size", size()}};
  if (dice_.one_in(4)) op["prot"] = dice_.of({"none", "r", "rx", "rwx"});
  if (dice_.one_in(3)) op["shared"] = true;
  if (dice_.one_in(10)) {
    op["hugetlb"] = kPmdSize;
    op["size"] = kPmdSize * (1 + dice_.below(3));
  } else {
    if (!bounds_.leaves_nothing && dice_.one_in(4)) {
      const std::uint64_t number = dice_.below(4);
      op["file"] = fmt::format("f{}", number);
      if (number < 2) op["in_memory"] = true;
      if (dice_.one_in(3)) op["offset"] = kPageSize * dice_.of<std::uint64_t>({1, 16, 512});
    }
    if (dice_.one_in(2)) op["huge"] = dice_.of({"madvise", "never"});
    if (dice_.one_in(12)) op["populate"] = true;
    if (dice_.one_in(16)) op["locked"] = true;
  }
  add(op);
}

// An operation on the region, or on a part of it.
Json Draft::part(const char* name, bool whole) {
  Json op = {{"op", name}, {"task", task_}, {"region", region_}};
  const std::uint64_t pages = task().space->regions.at(region_).pages.size();
  if (whole || dice_.one_in(3)) return op;
  std::uint64_t first = dice_.below(pages);
  if (dice_.one_in(2)) first -= first % dice_.of<std::uint64_t>({2, 16, 512});
  const std::uint64_t length =
      std::min(pages - first, dice_.of<std::uint64_t>({1, 2, 7, 15, 16, 64, 511, 512, 1024}));
  op["offset"] = first * kPageSize;
  op["size"] = length * kPageSize;
  return op;
}

void Draft::touch() {
  Json op = part("touch");
  op["access"] = dice_.of({"read", "write", "write", "execute"});
  const std::uint64_t size = op.value("size", task().space->regions.at(region_).bytes());
  std::uint64_t stride =
      dice_.of<std::uint64_t>({kPageSize, kPageSize, 3 * kPageSize, 16 * kPageSize, kPmdSize});
  stride = std::max(stride, (size / kMostAccesses + kPageSize) / kPageSize * kPageSize);
  if (stride != kPageSize) op["stride"] = stride;
  if (dice_.one_in(4)) op["order"] = dice_.of({"descending", "random"});
  if (dice_.one_in(8) && op["access"] != "execute") op["by"] = "kernel";
  if (add(op)) {
    if (bounds_.strikes && dice_.one_in(8)) strike(op.value("offset", std::uint64_t{0}));
  } else {
    op["refused"] = true;
    add(op);
  }
}

// To a table of a page that was just used.
void Draft::strike(std::uint64_t offset) {
  Json op = {{"op", "stray_store"}, {"task", task_}, {"region", region_}};
  if (offset != 0) op["offset"] = offset;
  op["entry"] = dice_.of({"pgd", "pud", "pmd", "pte", "pte"});
  op["refused"] = true;
  add(op);
}

void Draft::advise() {
  Json op = part("madvise");
  op["advice"] =
      dice_.of({"dontneed",      "dontneed",       "dontneed_locked", "free",         "hugepage",
                "nohugepage",    "dontfork",       "dofork",          "wipeonfork",   "keeponfork",
                "cold",          "pageout",        "pageout",         "collapse",     "collapse",
                "populate_read", "populate_write", "guard_install",   "guard_remove", "other"});
  add(op);
}

void Draft::lock() {
  if (dice_.one_in(3)) {
    Json op = {{"op", dice_.of({"mlockall", "munlockall", "munlockall"})}, {"task", task_}};
    if (op["op"] == "mlockall") {
      op[dice_.of({"current", "future"})] = true;
      if (dice_.one_in(2)) op["on_fault"] = true;
    }
    add(op);
    return;
  }
  Json op = part(dice_.of({"mlock", "munlock"}));
  if (op["op"] == "mlock" && dice_.one_in(3)) op["on_fault"] = true;
  add(op);
}

void Draft::remap() {
  const std::uint64_t bytes = task().space->regions.at(region_).bytes();
  Json op = {{"op", "mremap"}, {"task", task_}, {"region", region_}};
  op["new_size"] =
      dice_.of<std::uint64_t>({bytes, bytes * 2, bytes + kPageSize, kPageSize, kPmdSize});
  op["new_region"] = new_region();
  if (dice_.one_in(4)) op["dont_unmap"] = true;
  add(op);
}

void Draft::file() {
  const Region& region = task().space->regions.at(region_);
  if (region.file.empty()) return touch();
  if (dice_.one_in(2)) {
    add(part("punch_hole"));
  } else if (region.in_memory) {
    add({{"op", "truncate"}, {"task", task_}, {"file", region.file}, {"size", size()}});
  }
}

}  // namespace kpksim::fuzz
