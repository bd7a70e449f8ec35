// Operations on a task's memory.

#include <algorithm>

#include "sim/fuzz/reference.h"

namespace kpksim::fuzz {
namespace {

// What all processes may map: it has to fit into the machine, with what is beside it.
constexpr std::uint64_t kMaxPages = 65536, kMaxRegion = 8192;

// Every right to an address lets it be read.
std::uint8_t rights(const std::string& prot) {
  std::uint8_t out = 0;
  if (prot == "none") return out;
  for (const char c : prot) {
    out |= c == 'w' ? kWritable | kReadable : c == 'x' ? kExecutable | kReadable : kReadable;
  }
  return out;
}

constexpr std::uint8_t kRights = kReadable | kWritable | kExecutable;

}  // namespace

Reference::Access Reference::access(const Region& region, std::uint64_t page,
                                    std::uint8_t right) const {
  const std::uint8_t flags = region.pages[page];
  if ((flags & kMapped) == 0) return Access::kUnknown;  // something else may be there
  if (const auto end = ends_.find(region.file); end != ends_.end()) {
    if (region.file_offset + page >= end->second) return Access::kUnknown;  // SIGBUS
  }
  if ((flags & kGuarded) != 0) return Access::kRefused;
  return (flags & right) != 0 ? Access::kDone : Access::kRefused;
}

bool Reference::mmap(const Json& op) {
  Task* const task = running(op);
  const std::string name = text_in(op, "region");
  const std::uint64_t size = number_in(op, "size");
  if (task == nullptr || !name_is_free(name) || size == 0 || size % kPageSize != 0) return false;
  if (size / kPageSize > kMaxRegion || mapped_pages() + size / kPageSize > kMaxPages) return false;
  Region region;
  region.shared = flag_in(op, "shared");
  region.in_memory = flag_in(op, "in_memory");
  region.file = text_in(op, "file");
  region.file_offset = number_in(op, "offset") / kPageSize;
  region.hugetlb = op.contains("hugetlb");
  // The advice comes behind the mapping, which may be populated by then.
  region.never_huge = text_in(op, "huge") == "never" && !flag_in(op, "locked") &&
                      !flag_in(op, "populate") && !task->space->locks_future;
  if (region.hugetlb) {
    if (size % kPmdSize != 0 || number_in(op, "hugetlb") != kPmdSize || !region.file.empty())
      return false;
    if (flag_in(op, "locked") || flag_in(op, "populate") || task->space->locks_future) return false;
    if (!reserve(size / kPmdSize)) return false;
  }
  if (!region.file.empty()) {
    if (in_memory_.try_emplace(region.file, region.in_memory).first->second != region.in_memory) {
      return false;
    }
  } else if (region.in_memory || op.contains("offset")) {
    return false;
  }
  std::uint8_t flags = kMapped | rights(op.value("prot", "rw"));
  if (flag_in(op, "locked") || task->space->locks_future) flags |= kLocked;
  region.pages.assign(size / kPageSize, flags);
  regions_so_far_.insert(name);
  task->space->regions.emplace(name, std::move(region));
  return true;
}

bool Reference::munmap(const Json& op) {
  Range range;
  if (!find(op, range, true)) return false;  // something else may be in a hole
  if (range.region->heap) return false;      // brk would go on at its end
  if (range.region->hugetlb && (range.first % 512 != 0 || range.end % 512 != 0)) return false;
  change(range, 0xff, 0);
  if (!any({range.region, 0, range.region->pages.size()}, kMapped)) {
    running(op)->space->regions.erase(text_in(op, "region"));
  }
  return true;
}

bool Reference::mprotect(const Json& op) {
  Range range;
  if (!find(op, range, true)) return false;
  if (range.region->hugetlb && (range.first % 512 != 0 || range.end % 512 != 0)) return false;
  change(range, kRights, rights(text_in(op, "prot")));
  return true;
}

bool Reference::madvise(const Json& op) {
  Range range;
  if (!find(op, range, true)) return false;
  Region& region = *range.region;
  const std::string advice = text_in(op, "advice");
  const bool locked = any(range, kLocked), plain = region.private_anonymous() && !region.hugetlb;
  if (region.hugetlb && advice != "dontneed") return false;
  if (advice == "dontneed") {
    if (region.hugetlb && (range.first % 512 != 0 || range.end % 512 != 0)) return false;
    return !locked;
  }
  if (advice == "hugepage" || advice == "collapse") region.never_huge = false;
  if (advice == "dontneed_locked" || advice == "collapse" || advice == "other") return true;
  if (advice == "free") return plain && !locked;
  if (advice == "cold" || advice == "pageout") return !locked;
  if (advice == "wipeonfork" || advice == "keeponfork") {
    if (!plain) return false;
    change(range, 0, 0);
    return true;
  }
  if (advice == "hugepage" || advice == "nohugepage") {
    change(range, 0, 0);
    return true;
  }
  if (advice == "dontfork" || advice == "dofork") {
    if (region.heap) return false;  // a child's brk would go on where it has nothing
    change(range, kNotForked, advice == "dontfork" ? kNotForked : 0);
    return true;
  }
  if (advice == "populate_read" || advice == "populate_write") {
    for (std::uint64_t p = range.first; p < range.end; ++p) {
      const std::uint8_t right = advice == "populate_read" ? kReadable : kWritable;
      if (access(region, p, right) != Access::kDone) return false;
    }
    return true;
  }
  if (!abilities_.guard_pages || !plain || locked) return false;
  if (advice == "guard_install") {
    change(range, 0, kGuarded);
  } else if (advice == "guard_remove") {
    change(range, kGuarded, 0);
  } else {
    return false;
  }
  return true;
}

bool Reference::mlock(const Json& op) {
  Range range;
  if (!find(op, range, true) || range.region->hugetlb || any(range, kGuarded)) return false;
  change(range, 0, kLocked);
  return true;
}

bool Reference::munlock(const Json& op) {
  Range range;
  if (!find(op, range, true) || range.region->hugetlb) return false;
  change(range, kLocked, 0);
  return true;
}

bool Reference::mlockall(const Json& op) {
  Task* const task = running(op);
  if (task == nullptr || (!flag_in(op, "current") && !flag_in(op, "future"))) return false;
  if (races(*task)) return false;
  auto& regions = task->space->regions;
  const bool special = std::any_of(regions.begin(), regions.end(), [](const auto& entry) {
    const Range all{const_cast<Region*>(&entry.second), 0, entry.second.pages.size()};
    return entry.second.hugetlb || any(all, kGuarded);
  });
  if (special) return false;
  task->space->locks_future = flag_in(op, "future");
  if (flag_in(op, "current")) {
    for (auto& [unused, region] : regions) {
      for (std::uint8_t& page : region.pages) {
        if ((page & kMapped) != 0) page |= kLocked;
      }
    }
  }
  return true;
}

bool Reference::munlockall(const Json& op) {
  Task* const task = running(op);
  if (task == nullptr || races(*task)) return false;
  task->space->locks_future = false;
  for (auto& [unused, region] : task->space->regions) {
    for (std::uint8_t& page : region.pages) page &= static_cast<std::uint8_t>(~kLocked);
  }
  return true;
}

bool Reference::mremap(const Json& op) {
  Range range;
  const std::string target = text_in(op, "new_region");
  const std::uint64_t size = number_in(op, "new_size") / kPageSize;
  if (!find(op, range, true) || size == 0 || size > kMaxRegion || !name_is_free(target))
    return false;
  Region& region = *range.region;
  const auto kept = [](std::uint8_t page) { return static_cast<std::uint8_t>(page & ~kUsed); };
  const std::uint8_t flags = kept(region.pages[range.first]);
  const bool whole = range.first == 0 && range.end == region.pages.size();
  const bool alike = std::all_of(region.pages.begin(), region.pages.end(),
                                 [&](std::uint8_t page) { return kept(page) == flags; });
  if (!whole || !alike || !region.one_vma || region.heap || region.hugetlb) return false;
  if (mapped_pages() + size > kMaxPages) return false;
  const bool stays = flag_in(op, "dont_unmap");
  if (stays && (size != region.pages.size() || (flags & kLocked) != 0)) return false;
  Region moved = region;
  moved.pages.assign(size, flags);
  auto& regions = running(op)->space->regions;
  regions_so_far_.insert(target);
  if (!stays) regions.erase(text_in(op, "region"));
  regions.emplace(target, std::move(moved));
  return true;
}

bool Reference::brk(const Json& op) {
  Task* const task = running(op);
  const std::string name = text_in(op, "region");
  const std::uint64_t pages = number_in(op, "size") / kPageSize;
  if (task == nullptr || pages == 0 || mapped_pages() + pages > kMaxPages) return false;
  auto& regions = task->space->regions;
  const auto heap = std::find_if(regions.begin(), regions.end(),
                                 [](const auto& entry) { return entry.second.heap; });
  if (heap != regions.end() && heap->first != name) return false;
  if (heap == regions.end() && (flag_in(op, "shrink") || !name_is_free(name))) return false;
  Region& region = heap == regions.end() ? regions[name] : heap->second;
  regions_so_far_.insert(name);
  region.heap = true;
  const std::uint64_t now = region.pages.size();
  if (flag_in(op, "shrink")) {
    if (pages >= now) return false;
    region.pages.resize(now - pages);
    return true;
  }
  if (now + pages > kMaxRegion) return false;
  std::uint8_t flags = kMapped | kReadable | kWritable;
  if (task->space->locks_future) flags |= kLocked;
  region.pages.resize(now + pages, flags);
  return true;
}

bool Reference::touch(const Json& op) {
  Range range;
  if (!find(op, range, true)) return false;
  const std::string kind = op.value("access", "read");
  const std::uint8_t right = kind == "write"     ? kWritable
                             : kind == "execute" ? kExecutable
                                                 : kReadable;
  if (kind == "execute" && text_in(op, "by") == "kernel") return false;
  const auto wanted = flag_in(op, "refused") ? Access::kRefused : Access::kDone;
  const std::uint64_t offset = number_in(op, "offset"), stride = op.value("stride", kPageSize);
  const std::uint64_t size = op.value("size", range.region->bytes() - offset);
  if (stride == 0) return false;
  for (std::uint64_t at = 0; at < size; at += stride) {
    if (access(*range.region, (offset + at) / kPageSize, right) != wanted) return false;
  }
  if (wanted == Access::kRefused) return true;
  for (std::uint64_t at = 0; at < size; at += stride) {
    range.region->pages[(offset + at) / kPageSize] |= kUsed;
  }
  return true;
}

// What is refused at rest. Where cores run at once, another one's window may be open for all of
// them.
bool Reference::stray_store(const Json& op) {
  Range range;
  if (!find(op, range, false) || !flag_in(op, "refused") || abilities_.interleave) return false;
  const std::string entry = op.value("entry", "pte");
  if (entry == "pte" && !range.region->never_huge) return false;
  const std::uint8_t page = range.region->pages[range.first];
  return (page & kMapped) != 0 && (entry == "pgd" || (page & kUsed) != 0);
}

bool Reference::punch_hole(const Json& op) {
  Range range;
  if (!find(op, range, true)) return false;
  return !range.region->file.empty() && range.region->in_memory && range.region->shared;
}

bool Reference::truncate(const Json& op) {
  const auto file = in_memory_.find(text_in(op, "file"));
  if (running(op) == nullptr || file == in_memory_.end()) return false;
  if (abilities_.interleave) return false;  // another task may be at the end that is cut off
  ends_[file->first] = number_in(op, "size") / kPageSize;
  return true;
}

}  // namespace kpksim::fuzz
